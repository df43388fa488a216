//! A URL that passed the guard.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::rule::{Refusal, Rule};
use super::text::Parsed;

/// How the receiver is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// With TLS.
    Https,
    /// In the clear.
    Http,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The port meant when a URL names none.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// The host of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in lower-case ASCII, without a trailing dot.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A URL that passed the guard's rules about text. Only [`super::Guard::check_url`] makes one, so whatever is dialled
/// has been judged, and is what was read then: the text is never parsed a second time.
#[derive(Debug, Clone)]
pub struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
    canonical: String,
    request_target: PathAndQuery,
    /// Request line and `Host`, with their line ends.
    head_start: Box<str>,
    origin: Arc<str>,
    unless_allowed: Option<Refusal>,
}

impl Target {
    pub(super) fn new(parsed: Parsed, unless_allowed: Option<Refusal>) -> Result<Self, Refusal> {
        let Parsed { scheme, host, port, canonical, path_and_query } = parsed;
        let authority = match port == scheme.default_port() {
            true => host.to_string(),
            false => format!("{host}:{port}"),
        };
        HeaderValue::from_str(&authority).map_err(|_| Rule::Unparsable.refused())?;
        let request_target =
            PathAndQuery::from_maybe_shared(path_and_query).map_err(|_| Rule::Unparsable.refused())?;
        let head_start = format!("POST {request_target} HTTP/1.1\r\nHost: {authority}\r\n").into();
        let origin = format!("{}://{authority}", scheme.word()).into();
        Ok(Self { scheme, host, port, canonical, request_target, head_start, origin, unless_allowed })
    }

    /// How the receiver is spoken to.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL in canonical form: lower-case host, no default port, everything encoded once.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// What stands in the request line.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.request_target.as_str()
    }

    /// The rule that refuses the target unless every address it resolves to lies in an allowed network.
    #[must_use]
    pub fn unless_allowed(&self) -> Option<Refusal> {
        self.unless_allowed
    }

    /// The request line and the `Host` header, ready to be sent.
    pub(crate) fn head_start(&self) -> &[u8] {
        self.head_start.as_bytes()
    }

    /// Scheme, host and port, as one text to compare by.
    pub(crate) fn origin(&self) -> &Arc<str> {
        &self.origin
    }
}
