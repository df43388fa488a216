//! What every request has to be before anybody asks what it means.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, StatusCode, Version};

use super::heads::Hidden;

/// A request that is refused for its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    pub status: StatusCode,
    pub detail: &'static str,
}

const fn bad(detail: &'static str) -> Malformed {
    Malformed { status: StatusCode::BAD_REQUEST, detail }
}

/// Checks what the HTTP library lets pass.
pub(super) fn check(head: &Parts, hidden: Option<&Hidden>, target_max_bytes: usize) -> Result<(), Malformed> {
    hidden.map_or(Ok(()), check_hidden)?;
    let target_bytes = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > target_max_bytes {
        return Err(Malformed {
            status: StatusCode::URI_TOO_LONG,
            detail: "The request target is too long.",
        });
    }
    check_host(head)?;
    check_target(head)?;
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(bad("The only transfer coding accepted is chunked, once.")),
    }
}

fn check_hidden(hidden: &Hidden) -> Result<(), Malformed> {
    if hidden.has_two_framings {
        return Err(bad("The length of the body is stated more than once."));
    }
    if hidden.has_bare_line_feed {
        return Err(bad("A line of the head does not end in CRLF."));
    }
    if hidden.has_fragment {
        return Err(bad("The request target has a fragment."));
    }
    Ok(())
}

/// A path, or the address of a path here (RFC 9112 section 3.2.2). `CONNECT` names hosts, and is refused for its method.
fn check_target(head: &Parts) -> Result<(), Malformed> {
    if head.method == Method::CONNECT {
        return Ok(());
    }
    if let Some(authority) = head.uri.authority() {
        let is_http = head.uri.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
        let target = authority.as_str().as_bytes();
        let host = head.headers.get(HOST).map_or(target, |host| host.as_bytes());
        let bare = |host| without_default_port(host, head.uri.scheme_str());
        if !is_http || !bare(host).eq_ignore_ascii_case(bare(target)) {
            return Err(bad("The request target is not on this host."));
        }
    }
    match head.uri.path() {
        "*" if head.method == Method::OPTIONS => Ok(()),
        path if path.starts_with('/') => Ok(()),
        _ => Err(bad("The request target is no path.")),
    }
}

/// A host as it is compared: the port that its scheme has anyway says nothing (RFC 9110 section 4.2.3).
fn without_default_port<'h>(host: &'h [u8], scheme: Option<&str>) -> &'h [u8] {
    let default: &[u8] = if scheme == Some("https") { b":443" } else { b":80" };
    host.strip_suffix(default).or_else(|| host.strip_suffix(b":")).unwrap_or(host)
}

fn check_host(head: &Parts) -> Result<(), Malformed> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version < Version::HTTP_11 => Ok(()),
        (None, _) => Err(bad("The Host header is missing.")),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(bad("The Host header is malformed.")),
        (Some(_), Some(_)) => Err(bad("The Host header is there more than once.")),
    }
}

/// `host` or `host:port`, where the host may be a name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let (host, rest) = match text.iter().position(|byte| *byte == b']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    let is_good_host = match host {
        [b'[', inner @ .., b']'] => {
            !inner.is_empty() && inner.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }
        name => !name.is_empty() && name.iter().all(is_name),
    };
    let is_good_port = match rest {
        [] => true,
        [b':', port @ ..] => port.is_empty() || is_port(port),
        _ => false,
    };
    is_good_host && is_good_port
}

fn is_port(text: &[u8]) -> bool {
    let is_number = text.iter().all(u8::is_ascii_digit);
    is_number && std::str::from_utf8(text).is_ok_and(|text| text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for (text, expected) in [
            ("example.com", true),
            ("example.com:8080", true),
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("[::1]", true),
            ("my_host-1", true),
            ("", false),
            (":80", false),
            ("example.com/path", false),
            ("user@example.com", false),
            ("example.com:80:80", false),
            ("example.com:http", false),
            ("[::1", false),
            ("[]", false),
            ("[::1]x", false),
            ("a b", false),
            ("a,b", false),
            ("a:65535", true),
            ("a:65536", false),
            ("a:", true),
        ] {
            assert_eq!(is_host(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn an_absolute_target_is_on_its_host_with_and_without_the_default_port() {
        let mut rows = 0;
        for (target, host, expected) in [
            ("http://h/a", "h", true),
            ("http://h:80/a", "h", true),
            ("http://h/a", "h:80", true),
            ("http://h:/a", "h", true),
            ("http://H/a", "h:80", true),
            ("https://h:443/a", "h", true),
            ("https://h/a", "h:443", true),
            ("http://[::1]:80/a", "[::1]", true),
            ("http://h:8080/a", "h:8080", true),
            ("http://h:8080/a", "h", false),
            ("http://h:443/a", "h", false),
            ("https://h:80/a", "h", false),
            ("http://h:80/a", "i", false),
            ("http://u@h/a", "h", false),
            ("ftp://h/a", "h", false),
        ] {
            let request = http::Request::get(target).header(HOST, host).body(()).unwrap();
            let told = check(&request.into_parts().0, None, 1024);
            assert_eq!(told.is_ok(), expected, "{target} {host}: {told:?}");
            rows += 1;
        }
        println!("counted | requests | absolute targets against Host | {rows}");
    }
}
