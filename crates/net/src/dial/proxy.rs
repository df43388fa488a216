//! The way out through a proxy, by CONNECT (RFC 9110 section 9.3.6).
//!
//! The proxy is told the address that was judged and never the name, so that it looks nothing up: what the guard let
//! through is what is connected to. That holds for `http` receivers as well.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use posthaste_core::{Fault, FaultKind, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::fault::{fault, timed_out};
use crate::guard::Host;

/// The longest head of an answer that a proxy may give, in bytes.
const HEAD_MAX_BYTES: usize = 8 * 1024;
/// The most headers in it.
const HEADERS_MAX: usize = 64;
const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

/// An HTTP proxy that every connection goes through. It shows itself without its password.
#[derive(Clone)]
pub struct Proxy {
    host: Host,
    port: u16,
    /// `user:password`, in Base64.
    credentials: Option<Secret>,
}

/// The text is no proxy's URL. It is not repeated, because it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, and nothing after that")]
pub struct BadProxy;

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl FromStr for Proxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let url = Url::parse(text).ok().filter(|_| text.bytes().all(is_plain)).ok_or(BadProxy)?;
        let ends_there = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !ends_there {
            return Err(BadProxy);
        }
        let host = match url.host().ok_or(BadProxy)? {
            url::Host::Domain(name) => Host::Name(name.to_owned()),
            url::Host::Ipv4(ip) => Host::Ip(ip.into()),
            url::Host::Ipv6(ip) => Host::Ip(ip.into()),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(BadProxy)?;
        Ok(Self { host, port, credentials: credentials(&url)? })
    }
}

/// The user and password of a URL, as `Basic` wants them (RFC 7617 section 2).
fn credentials(url: &Url) -> Result<Option<Secret>, BadProxy> {
    let user = percent_decode_str(url.username()).collect::<Vec<u8>>();
    let password = url.password().map(|text| percent_decode_str(text).collect::<Vec<u8>>());
    if user.is_empty() && password.is_none() {
        return Ok(None);
    }
    if user.contains(&b':') {
        return Err(BadProxy);
    }
    let both = [user.as_slice(), password.as_deref().unwrap_or_default()].join(&b':');
    Ok(Some(Secret::from(BASE64_STANDARD.encode(both))))
}

impl Proxy {
    /// Where the proxy is.
    pub(super) fn place(&self) -> (&Host, u16) {
        (&self.host, self.port)
    }

    /// Makes a tunnel to `target` out of a connection to the proxy.
    pub(super) async fn tunnel(&self, stream: &mut TcpStream, target: SocketAddr) -> Result<(), Fault> {
        let request = self.request(target);
        let sent = stream.write_all(request.expose_text().as_bytes()).await;
        sent.map_err(|_| broke_off())?;
        let mut head = Vec::with_capacity(256);
        let (status, length) = loop {
            let room = (HEAD_MAX_BYTES - head.len()) as u64;
            let read = (&mut *stream).take(room).read_buf(&mut head).await.map_err(|_| broke_off())?;
            match status_of(&head) {
                Ok(Some(found)) => break found,
                Ok(None) if room == 0 => return Err(not_understood()),
                Ok(None) if read == 0 => return Err(broke_off()),
                Ok(None) => {}
                Err(()) => return Err(not_understood()),
            }
        };
        match status {
            // The receiver says nothing before it is asked: whatever came with the head is not from there.
            200..300 if head.len() == length => Ok(()),
            200..300 => Err(not_understood()),
            PROXY_AUTHENTICATION_REQUIRED => {
                Err(failed("The proxy that deliveries go through refused our credentials."))
            }
            status => Err(failed(format!(
                "The proxy that deliveries go through made no connection to the receiver (it answered {status})."
            ))),
        }
    }

    fn request(&self, target: SocketAddr) -> Secret {
        let authorization = self.credentials.as_ref().map_or_else(String::new, |credentials| {
            format!("Proxy-Authorization: Basic {}\r\n", credentials.expose_text())
        });
        Secret::from(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"))
    }
}

/// The status and length of a whole head, once it is there.
fn status_of(bytes: &[u8]) -> Result<Option<(u16, usize)>, ()> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(response.code.map(|status| (status, length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(()),
    }
}

/// The proxy could not be connected to.
pub(super) fn unreachable() -> Fault {
    failed("The proxy that deliveries go through cannot be reached.")
}

/// The proxy's name has no address.
pub(super) fn unresolved() -> Fault {
    failed("The name of the proxy that deliveries go through does not resolve.")
}

/// The time limit passed before the proxy had made the connection, or before it took ours.
pub(super) fn late() -> Fault {
    timed_out("while the proxy that deliveries go through made the connection")
}

fn broke_off() -> Fault {
    failed("The proxy that deliveries go through closed the connection.")
}

fn not_understood() -> Fault {
    failed("The proxy that deliveries go through gave an answer that cannot be understood.")
}

fn failed(sentence: impl Into<String>) -> Fault {
    fault(FaultKind::ConnectFailed, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_show_no_password() {
        for (text, shown, basic) in [
            ("http://10.0.0.1:3128", "http://10.0.0.1:3128", None),
            ("http://proxy:3128/", "http://proxy:3128", None),
            ("http://[::1]:3128", "http://[::1]:3128", None),
            ("http://proxy.example", "http://proxy.example:80", None),
            ("http://u:p@proxy:1", "http://proxy:1", Some("u:p")),
            ("http://u@proxy:1", "http://proxy:1", Some("u:")),
            ("http://u:a%3Ab%40%2F@proxy:1", "http://proxy:1", Some("u:a:b@/")),
            ("http://:p@proxy:1", "http://proxy:1", Some(":p")),
        ] {
            let proxy: Proxy = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(proxy.to_string(), shown);
            let given =
                proxy.credentials.as_ref().map(|it| BASE64_STANDARD.decode(it.expose_text()).unwrap());
            assert_eq!(given.as_deref(), basic.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_proxies() {
        for text in [
            "",
            "proxy:3128",
            "10.0.0.1:3128",
            "https://proxy:3128",
            "socks5://proxy:1080",
            "http://",
            "http://proxy:0",
            "http://proxy:65536",
            "http://proxy:3128/path",
            "http://proxy:3128/?q",
            "http://proxy:3128/#f",
            " http://proxy:3128",
            "http://pro\txy:3128",
            "http:\\\\proxy:3128",
            "http://a%3Ab:c@proxy:3128",
        ] {
            assert!(text.parse::<Proxy>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_request_names_the_address_alone() {
        let proxy: Proxy = "http://u:p@proxy:1".parse().unwrap();
        let request = proxy.request("[2001:db8::1]:443".parse().unwrap());
        assert_eq!(
            request.expose_text(),
            "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
        );
    }
}
