//! A request as it goes over the wire.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use posthaste_core::{Fault, FaultKind};
use tokio::io::AsyncWrite;

use crate::fault::fault;
use crate::guard::Target;

/// Headers that follow from the target, the body and the connection; they are ours, and left out if given.
const OURS: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];
/// Up to this size a body is copied behind the head, so that one plain write sends both.
const BODY_COPIED_MAX_BYTES: usize = 16 * 1024;

/// The headers of a request, already written as they are sent.
///
/// Only tokens get in as names, and only visible ASCII, spaces and tabs as values; anything else spoils the request,
/// which is then refused before a byte of it is sent.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    lines: Vec<u8>,
    is_malformed: bool,
}

impl Headers {
    /// No headers yet, with room for so many bytes of them.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { lines: Vec::with_capacity(bytes), is_malformed: false }
    }

    /// Adds a header. Its name is sent with every word capitalised.
    pub fn push(&mut self, name: &str, value: &str) {
        if !is_token(name) || !is_field_value(value) {
            self.is_malformed = true;
            return;
        }
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            return;
        }
        self.lines.reserve(name.len() + value.len() + 4);
        let mut begins_word = true;
        self.lines.extend(name.bytes().map(|byte| {
            let cased = if begins_word { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
            begins_word = byte == b'-';
            cased
        }));
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value.as_bytes());
        self.lines.extend_from_slice(b"\r\n");
    }

    /// The headers as they are sent, each with its line end.
    #[must_use]
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::default();
        pairs.into_iter().for_each(|(name, value)| headers.push(name.as_ref(), value.as_ref()));
        headers
    }
}

fn is_token(name: &str) -> bool {
    /// Looked up for every byte of every name.
    const TCHARS: [bool; 256] = {
        let (mut table, others) = ([false; 256], b"!#$%&'*+-.^_`|~");
        let mut byte = 0;
        while byte < table.len() {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            table[others[at] as usize] = true;
            at += 1;
        }
        table
    };
    !name.is_empty() && name.bytes().all(|byte| TCHARS[usize::from(byte)])
}

fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t')
}

/// A whole request, and how much of it was sent.
pub(crate) struct Message {
    /// The head, and a small body with it.
    head: Vec<u8>,
    /// A large body.
    body: Bytes,
    sent_bytes: usize,
}

impl Message {
    /// The POST of a body to a target.
    pub fn post(target: &Target, headers: &Headers, body: &Bytes) -> Result<Self, Fault> {
        /// `Content-Length`, its value and the line ends.
        const REST_OF_HEAD_BYTES: usize = 48;
        if headers.is_malformed {
            return Err(fault(FaultKind::Internal, "A header of the request is malformed."));
        }
        let is_copied = body.len() <= BODY_COPIED_MAX_BYTES;
        let copied: &[u8] = if is_copied { body } else { &[] };
        let start = target.head_start();
        let room = start.len() + headers.lines.len() + REST_OF_HEAD_BYTES + copied.len();
        let mut head = Vec::with_capacity(room);
        head.extend_from_slice(start);
        head.extend_from_slice(&headers.lines);
        // Writing to a vector does not fail.
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        head.extend_from_slice(copied);
        let body = if is_copied { Bytes::new() } else { body.clone() };
        Ok(Self { head, body, sent_bytes: 0 })
    }

    /// Begins anew, for another connection.
    pub fn rewind(&mut self) {
        self.sent_bytes = 0;
    }

    /// Sends what is left, in one write if the socket takes it.
    pub fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent_bytes < self.head.len() + self.body.len() {
            let stream = Pin::new(&mut *stream);
            let of_head = self.sent_bytes.min(self.head.len());
            let polled = if self.body.is_empty() {
                stream.poll_write(cx, &self.head[of_head..])
            } else {
                let of_body = self.sent_bytes - of_head;
                let both = [IoSlice::new(&self.head[of_head..]), IoSlice::new(&self.body[of_body..])];
                stream.poll_write_vectored(cx, &both)
            };
            match ready!(polled)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent_bytes += sent,
            }
        }
        Pin::new(stream).poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_written_as_they_are_sent() {
        for (name, value, expected) in [
            ("content-type", "application/json", Some("Content-Type: application/json\r\n")),
            ("X-ABC-Sig-v1", "a b\tc~", Some("X-Abc-Sig-V1: a b\tc~\r\n")),
            ("x", "", Some("X: \r\n")),
            ("HOST", "elsewhere", Some("")),
            ("Content-length", "9", Some("")),
            ("connection", "close", Some("")),
            ("transfer-encoding", "chunked", Some("")),
            ("", "v", None),
            ("x y", "v", None),
            ("x:", "v", None),
            ("x\r\ny", "v", None),
            ("x\0", "v", None),
            ("\u{e9}", "v", None),
            ("x", "a\r\nb: c", None),
            ("x", "a\nb", None),
            ("x", "a\rb", None),
            ("x", "a\0", None),
            ("x", "a\x7f", None),
            ("x", "\u{e9}", None),
        ] {
            let headers = Headers::from_iter([(name, value)]);
            assert_eq!(headers.is_malformed, expected.is_none(), "{name:?}: {value:?}");
            assert_eq!(headers.lines(), expected.unwrap_or_default().as_bytes(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn one_bad_header_spoils_the_request_whatever_follows() {
        let headers = Headers::from_iter([("x", "\n"), ("y", "v")]);
        assert!(headers.is_malformed);
    }
}
