//! Requests as the sink sees them: no more is read of them than where they end.

use std::ops::Range;

/// The longest request the sink takes.
pub const REQUEST_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A whole request at the front of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Where its body lies; the next request begins at the end.
    pub body: Range<usize>,
    /// Does the sender want the connection closed afterwards?
    pub is_last: bool,
}

/// Finds the request at the front of `bytes`, if it is complete. Bodies must have a length, as deliveries have.
pub fn first(bytes: &[u8]) -> Option<Request> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut length = 0;
    let mut is_last = false;
    for line in bytes[..head_end].split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value).ok()?.parse().ok()?;
        } else if name.eq_ignore_ascii_case(b"connection") {
            is_last = value.eq_ignore_ascii_case(b"close");
        }
    }
    let begin = head_end + 4;
    let end = begin.checked_add(length)?;
    (end <= bytes.len()).then_some(Request { body: begin..end, is_last })
}

/// The whole number that follows `needle` in a body.
pub fn number_after(body: &[u8], needle: &str) -> Option<i64> {
    let text = std::str::from_utf8(body).ok()?;
    let rest = text[text.find(needle)? + needle.len()..].trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_where_their_length_says() {
        let two = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST / HT";
        let request = first(two).unwrap();
        assert_eq!((&two[request.body.clone()], request.is_last), (&b"abc"[..], false));
        assert_eq!(first(&two[..request.body.end - 1]), None);
        let last = b"GET / HTTP/1.1\r\nconnection: Close\r\n\r\n";
        assert_eq!(first(last), Some(Request { body: last.len()..last.len(), is_last: true }));
    }

    #[test]
    fn times_are_found_in_bodies() {
        let found = |body: &str| number_after(body.as_bytes(), "\"sent_us\":");
        assert_eq!(found(r#"{"a":1,"data":{"sent_us":1700000000000001}}"#), Some(1_700_000_000_000_001));
        assert_eq!(found(r#"{"sent_us": 7}"#), Some(7));
        assert_eq!(found(r#"{"sent_us":"x"}"#), None);
        assert_eq!(found("{}"), None);
    }
}
