//! Rules about the text of a URL. The parser forgives much that other readers do not, so the raw text is held against
//! what was parsed.

use std::net::IpAddr;

use bytes::Bytes;
use url::{Position, Url};

use super::rule::{Refusal, Rule};
use super::target::{Host, Scheme};

/// A URL whose text is beyond doubt; nothing is said yet about where it leads.
pub(super) struct Parsed {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
    pub canonical: String,
    pub path_and_query: Bytes,
}

pub(super) fn parse(text: &str, allows_http: bool) -> Result<Parsed, Refusal> {
    let is_raw = |byte: u8| byte <= 0x20 || byte == 0x7f || byte == b'\\';
    if text.bytes().any(is_raw) {
        return Err(Rule::RawCharacter.refused());
    }
    let url = Url::parse(text).map_err(|_| Rule::Unparsable.refused())?;
    let scheme = match url.scheme() {
        "https" => Scheme::Https,
        "http" if allows_http => Scheme::Http,
        _ => return Err(Rule::Scheme.refused()),
    };
    let raw_host = check_form(text, url.scheme().len())?;
    let host = host_of(&url, raw_host)?;
    Ok(Parsed {
        scheme,
        host,
        port: url.port().unwrap_or(scheme.default_port()),
        path_and_query: Bytes::copy_from_slice(url[Position::BeforePath..Position::AfterQuery].as_bytes()),
        canonical: url.into(),
    })
}

/// Checks the text around the host; gives back the host as written.
fn check_form(text: &str, scheme_len: usize) -> Result<&str, Refusal> {
    let after_colon = text.get(scheme_len + 1..).unwrap_or_default();
    let rest = after_colon.strip_prefix("//").ok_or(Rule::AuthorityForm.refused())?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = split_port(host_and_port);
    if host.is_empty() || !port.is_none_or(is_plain_number) {
        return Err(Rule::AuthorityForm.refused());
    }
    if authority.contains('@') {
        return Err(Rule::Userinfo.refused());
    }
    if text.contains('#') {
        return Err(Rule::Fragment.refused());
    }
    if has_bad_percent(text.as_bytes()) {
        return Err(Rule::BadPercent.refused());
    }
    Ok(host)
}

fn host_of(url: &Url, raw_host: &str) -> Result<Host, Refusal> {
    let ambiguous = Rule::AmbiguousHost.refused();
    match url.host() {
        None => Err(Rule::Unparsable.refused()),
        Some(_) if raw_host.contains('%') => Err(ambiguous),
        Some(url::Host::Ipv4(ip)) if raw_host != ip.to_string() => Err(ambiguous),
        Some(url::Host::Ipv4(ip)) => Ok(Host::Ip(IpAddr::V4(ip))),
        Some(url::Host::Ipv6(ip)) => Ok(Host::Ip(IpAddr::V6(ip))),
        Some(url::Host::Domain(name)) => Ok(Host::Name(name.to_owned())),
    }
}

/// Splits `host:port`, where the host may be an IPv6 address in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[host_end..].find(':') {
        Some(colon) => (&authority[..host_end + colon], Some(&authority[host_end + colon + 1..])),
        None => (authority, None),
    }
}

fn is_plain_number(text: &str) -> bool {
    let has_leading_zero = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && !has_leading_zero && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_bad_percent(text: &[u8]) -> bool {
    let is_bad = |(at, byte): (usize, &u8)| {
        let digits = text.get(at + 1..at + 3).unwrap_or_default();
        *byte == b'%' && !(digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit))
    };
    text.iter().enumerate().any(is_bad)
}
