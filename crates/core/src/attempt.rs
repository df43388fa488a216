//! One HTTP request made for a delivery, and how it ended.

use std::time::Duration;

use crate::time::UnixMs;

/// A finished attempt as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first try of a delivery, then counting up without gaps.
    pub number: u32,
    /// When it began; signatures carry this time.
    pub started_at: UnixMs,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// The signature headers' values, in the contract's order. The other request headers follow from the contract.
    pub signatures: Vec<String>,
}

impl Attempt {
    /// When it ended.
    #[must_use]
    pub fn finished_at(&self) -> UnixMs {
        self.started_at.plus(self.duration)
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A complete response head arrived.
    Answered(Response),
    /// None did.
    Failed(Fault),
}

impl Outcome {
    /// The status code, if a response head arrived.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(response) => Some(response.status),
            Self::Failed(_) => None,
        }
    }
}

/// What is kept of a receiver's answer. All of it is the receiver's bytes: never trust, never interpret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names and values in order, within [`Response::HEADERS_KEPT_BYTES`].
    pub headers: Vec<(String, Vec<u8>)>,
    /// The beginning of the body, within [`Response::BODY_KEPT_BYTES`].
    pub body: Vec<u8>,
    /// Whether the body was longer than what is kept, or ended before its announced end.
    pub is_cut: bool,
}

impl Response {
    /// How many bytes of a response's headers are kept.
    pub const HEADERS_KEPT_BYTES: usize = 8 * 1024;
    /// How many bytes of a response's body are kept.
    pub const BODY_KEPT_BYTES: usize = 16 * 1024;

    /// The first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The value of a header that stands there once, if it is text.
    #[must_use]
    pub fn sole_header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        if found.next().is_some() { None } else { std::str::from_utf8(value).ok() }
    }
}

/// Why no response head arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind, as shown in logs and the admin API.
    pub kind: FaultKind,
    /// A sentence for people. It names no address of a forbidden target.
    pub detail: String,
}

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The address guard refused the target.
    TargetForbidden,
    /// The name did not resolve.
    DnsError,
    /// No connection could be made.
    ConnectFailed,
    /// The TLS handshake failed or the certificate does not hold.
    TlsError,
    /// The connection broke before a response head was complete.
    ConnectionLost,
    /// The answer is not HTTP, or beyond the bounds.
    BadResponse,
    /// The time limit passed.
    Timeout,
    /// A fault of our own.
    Internal,
}

impl FaultKind {
    /// Every kind with its word.
    pub const WORDS: [(Self, &'static str); 8] = [
        (Self::TargetForbidden, "target_forbidden"),
        (Self::DnsError, "dns_error"),
        (Self::ConnectFailed, "connect_failed"),
        (Self::TlsError, "tls_error"),
        (Self::ConnectionLost, "connection_lost"),
        (Self::BadResponse, "bad_response"),
        (Self::Timeout, "timeout"),
        (Self::Internal, "internal_error"),
    ];

    /// The word shown to people and kept in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(kind, _)| *kind == self).map_or("internal_error", |(_, word)| word)
    }

    /// The kind of a word; unknown words are internal faults.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        Self::WORDS.iter().find(|(_, known)| *known == word).map_or(Self::Internal, |(kind, _)| *kind)
    }
}
