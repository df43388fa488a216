//! The operator's own answers: connect there for that host.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::guard::Host;

/// `HOST:PORT:ADDR:PORT`, with the meaning of curl's `--connect-to`: requests for the first pair are connected to the
/// second instead. An empty first host or port means any, an empty second one means the same as before. TLS and the
/// `Host` header still speak of the URL's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    from: (Option<Host>, Option<u16>),
    to: (Option<Host>, Option<u16>),
}

/// The text is not `HOST:PORT:ADDR:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not HOST:PORT:ADDR:PORT (an IPv6 address in brackets; parts may be empty)")]
pub struct BadConnectTo(String);

impl ConnectTo {
    /// Does the entry speak of this host and port?
    #[must_use]
    pub fn applies_to(&self, host: &Host, port: u16) -> bool {
        let (from_host, from_port) = &self.from;
        from_host.as_ref().is_none_or(|from| from == host) && from_port.is_none_or(|from| from == port)
    }

    pub(super) fn instead_of<'a>(&'a self, host: &'a Host, port: u16) -> (&'a Host, u16) {
        let (to_host, to_port) = &self.to;
        (to_host.as_ref().unwrap_or(host), to_port.unwrap_or(port))
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = |(host, port): &(Option<Host>, Option<u16>)| {
            let host = host.as_ref().map(Host::to_string).unwrap_or_default();
            format!("{host}:{}", port.map(|port| port.to_string()).unwrap_or_default())
        };
        write!(f, "{}:{}", half(&self.from), half(&self.to))
    }
}

impl FromStr for ConnectTo {
    type Err = BadConnectTo;

    fn from_str(text: &str) -> Result<Self, BadConnectTo> {
        let read = || {
            let (from_host, rest) = host(text)?;
            let (from_port, rest) = rest.split_once(':')?;
            let (to_host, to_port) = host(rest)?;
            Some(Self { from: (from_host, port(from_port)?), to: (to_host, port(to_port)?) })
        };
        read().ok_or_else(|| BadConnectTo(text.to_owned()))
    }
}

/// Takes a host and the colon after it off the front. The outer `None` is a fault, the inner one an empty host.
fn host(text: &str) -> Option<(Option<Host>, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once("]:")?;
        return Some((Some(Host::Ip(IpAddr::V6(ip.parse().ok()?))), rest));
    }
    let (host, rest) = text.split_once(':')?;
    let host = match host.parse() {
        _ if host.is_empty() => None,
        Ok(ip) => Some(Host::Ip(ip)),
        Err(_) => Some(Host::Name(host.to_ascii_lowercase())),
    };
    Some((host, rest))
}

fn port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ConnectTo {
        text.parse().unwrap()
    }

    #[test]
    fn entries_have_the_meaning_of_curls() {
        let name = Host::Name("hooks.example.com".to_owned());
        for (entry, expected) in [
            ("hooks.example.com:443:127.0.0.1:8443", Some("127.0.0.1:8443")),
            ("HOOKS.example.com:443:[::1]:8443", Some("[::1]:8443")),
            ("::127.0.0.1:", Some("127.0.0.1:443")),
            (":443:receiver:9000", Some("receiver:9000")),
            (":::9000", Some("hooks.example.com:9000")),
            ("hooks.example.com:8443:127.0.0.1:1", None),
            ("other.example.com:443:127.0.0.1:1", None),
        ] {
            let entry_read = read(entry);
            assert_eq!(entry_read.to_string().to_lowercase(), entry.to_lowercase());
            let instead = entry_read.applies_to(&name, 443).then(|| {
                let (host, port) = entry_read.instead_of(&name, 443);
                format!("{host}:{port}")
            });
            assert_eq!(instead.as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "a", "a:1", "a:1:b", "a:x:b:1", "a:1:b:65536", "[::1:1:b:1", "a:1:b:1:c"] {
            assert!(text.parse::<ConnectTo>().is_err(), "{text}");
        }
    }
}
