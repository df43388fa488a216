//! Heads of answers: what they say about themselves, and where the body ends.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig, Status};
use posthaste_core::Response;

use super::BadAnswer;

/// The most headers in one head.
const HEADERS_MAX: usize = 100;
const SWITCHING_PROTOCOLS: u16 = 101;
const RESET_CONTENT: u16 = 205;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    Length(u64),
    Chunked,
    /// The connection's end is the body's.
    UntilClose,
}

/// A head that may be acted on.
#[derive(Debug)]
pub(super) struct Head {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub framing: Framing,
    /// May another request follow on the connection, for all the head says?
    pub keeps_open: bool,
}

/// What the beginning of the bytes is.
#[derive(Debug)]
pub(super) enum Parsed {
    /// Not yet a whole head.
    Partial,
    /// An interim answer.
    Interim {
        /// Of so many bytes.
        length: usize,
        /// Does it speak of a body, which it cannot have?
        announces_body: bool,
    },
    /// The head of the answer proper, of so many bytes.
    Final(Head, usize),
}

/// Reads the head that the bytes begin with.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, BadAnswer> {
    let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut room);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(Parsed::Partial),
        Err(Error::TooManyHeaders) => return Err(BadAnswer::TooLarge),
        Err(_) => return Err(BadAnswer::Malformed),
    };
    match response.code.unwrap_or_default() {
        0..100 => Err(BadAnswer::Malformed),
        status @ 100..200 if status != SWITCHING_PROTOCOLS => {
            let announces_body = response.headers.iter().any(is_about_framing);
            Ok(Parsed::Interim { length, announces_body })
        }
        status => {
            let head = understood(status, response.version == Some(1), response.headers)?;
            Ok(Parsed::Final(head, length))
        }
    }
}

fn is_about_framing(header: &Header<'_>) -> bool {
    ["content-length", "transfer-encoding"].iter().any(|name| header.name.eq_ignore_ascii_case(name))
}

/// What the headers say, by the rules of RFC 9112 section 6.3.
fn understood(status: u16, is_1_1: bool, headers: &[Header<'_>]) -> Result<Head, BadAnswer> {
    let (mut length, mut encoding) = (None, None);
    let mut keeps_open = is_1_1;
    for Header { name, value } in headers {
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(combined(length, value));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            encoding = Some(*value);
        } else if name.eq_ignore_ascii_case("connection") {
            keeps_open &= !elements(value).any(|element| element.eq_ignore_ascii_case(b"close"));
        }
    }
    let framing = match (status, encoding, length) {
        (SWITCHING_PROTOCOLS | 204 | 304, ..) => Framing::Nothing,
        // Chunks are unknown to HTTP/1.0: whoever sends them in its name has a gap somebody may slip through.
        (_, Some(_), _) if !is_1_1 => return Err(BadAnswer::Malformed),
        (_, Some(encoding), _) if ends_in_chunked(encoding) => Framing::Chunked,
        (_, Some(_), _) => Framing::UntilClose,
        (_, None, Some(length)) => Framing::Length(length.ok_or(BadAnswer::Malformed)?),
        // RFC 9110, 15.3.6: its sender has no content to send, and need not close to say so.
        (RESET_CONTENT, None, None) => Framing::Nothing,
        (_, None, None) => Framing::UntilClose,
    };
    let is_ambiguous = match (&framing, encoding, length) {
        // An answer that cannot have a body and speaks of one: its sender may send it.
        (Framing::Nothing, encoding, length) => encoding.is_some() || length.is_some_and(|l| l != Some(0)),
        // A message with both is how requests are smuggled.
        (_, encoding, length) => encoding.is_some() && length.is_some(),
    };
    // By the general rule an answer without a word of its length ends with the connection, 205 or not.
    let is_silent = status == RESET_CONTENT && encoding.is_none() && length.is_none();
    let serves_again = !is_ambiguous && !is_silent && framing != Framing::UntilClose;
    keeps_open &= serves_again && status != SWITCHING_PROTOCOLS;
    Ok(Head { status, headers: kept(headers), framing, keeps_open })
}

/// The length that a further header leaves standing: all must say the same number. `None` is no length at all.
fn combined(before: Option<Option<u64>>, value: &[u8]) -> Option<u64> {
    let mut lengths = elements(value).map(number);
    let first = lengths.next()??;
    let is_agreed = lengths.all(|length| length == Some(first)) && before.is_none_or(|b| b == Some(first));
    is_agreed.then_some(first)
}

/// Digits alone: no sign and no space.
fn number(digits: &[u8]) -> Option<u64> {
    let is_plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if is_plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// The elements of a list, without the white space around them.
fn elements(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn ends_in_chunked(encodings: &[u8]) -> bool {
    elements(encodings).next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"))
}

fn kept(headers: &[Header<'_>]) -> Vec<(String, Vec<u8>)> {
    let mut room = Response::HEADERS_KEPT_BYTES;
    let mut kept = Vec::with_capacity(headers.len());
    for Header { name, value } in headers {
        // One that is too long does not take the others with it.
        let Some(left) = room.checked_sub(name.len() + value.len()) else { continue };
        room = left;
        kept.push((name.to_ascii_lowercase(), value.to_vec()));
    }
    kept
}
