//! HTTP/1.1 messages as the tools see them: no more is read of them than where they end and the numbers in them.

use std::ops::Range;

/// The longest message that is taken.
pub const MESSAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A whole message, request or response, at the front of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Where its body lies; the next message begins at the end.
    pub body: Range<usize>,
    /// Does the peer want the connection closed afterwards?
    pub is_last: bool,
}

/// Finds the message at the front of `bytes`, if it is complete. Bodies must have a length, as deliveries have.
pub fn first(bytes: &[u8]) -> Option<Message> {
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
    (end <= bytes.len()).then_some(Message { body: begin..end, is_last })
}

/// Is the request at the front of `bytes` a question rather than a delivery?
pub fn is_get(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GET ")
}

/// The status of the response at the front of `bytes`.
pub fn status(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()
}

/// The number at the end of the path of the request at the front of `bytes`, as in `/w/17`.
pub fn number_in_path(bytes: &[u8]) -> Option<u64> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let path = line.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(path.rsplit(|byte| *byte == b'/').next()?).ok()?.parse().ok()
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
    fn messages_end_where_their_length_says() {
        let two = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST / HT";
        let message = first(two).unwrap();
        assert_eq!((&two[message.body.clone()], message.is_last), (&b"abc"[..], false));
        assert_eq!(first(&two[..message.body.end - 1]), None);
        let last = b"GET / HTTP/1.1\r\nconnection: Close\r\n\r\n";
        assert_eq!(first(last), Some(Message { body: last.len()..last.len(), is_last: true }));
        assert!(is_get(last) && !is_get(two));
    }

    #[test]
    fn times_are_found_in_bodies() {
        let found = |body: &str| number_after(body.as_bytes(), "\"sent_us\":");
        assert_eq!(found(r#"{"a":1,"data":{"sent_us":1700000000000001}}"#), Some(1_700_000_000_000_001));
        assert_eq!(found(r#"{"sent_us": 7}"#), Some(7));
        assert_eq!(found(r#"{"sent_us":"x"}"#), None);
        assert_eq!(found("{}"), None);
    }

    #[test]
    fn first_lines_hold_numbers() {
        assert_eq!(number_in_path(b"POST /w/17 HTTP/1.1\r\n\r\n"), Some(17));
        assert_eq!(number_in_path(b"POST /w HTTP/1.1\r\n\r\n"), None);
        assert_eq!(number_in_path(b""), None);
        assert_eq!(status(b"HTTP/1.1 202 Accepted\r\n\r\n"), Some(202));
        assert_eq!(status(b"HTTP/1.1"), None);
    }
}
