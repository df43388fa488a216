//! What every request has to be before anybody asks what it means.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{StatusCode, Version};

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
pub(super) fn check(head: &Parts, target_max_bytes: usize) -> Result<(), Malformed> {
    let target_bytes = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > target_max_bytes {
        return Err(Malformed {
            status: StatusCode::URI_TOO_LONG,
            detail: "The request target is too long.",
        });
    }
    check_host(head)?;
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(bad("The only transfer coding accepted is chunked, once.")),
    }
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
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_good_host && is_good_port
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
        ] {
            assert_eq!(is_host(text.as_bytes()), expected, "{text}");
        }
    }
}
