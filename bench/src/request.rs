//! HTTP/1.1 messages as the tools see them: no more is read of them than where they end and the numbers in them. The
//! tools share the processors with what they measure, so nothing here is read twice or copied.

use std::io;
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
pub fn first(bytes: &[u8]) -> io::Result<Option<Message>> {
    let (mut at, mut length, mut is_last) = (0, 0, false);
    while let Some(line) = line(&bytes[at..]) {
        at += line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(ending(at, length, bytes.len()).map(|body| Message { body, is_last }));
        }
        if let Some(value) = header(line, b"content-length") {
            length = number(value).ok_or_else(|| unreadable("the length of a body"))?;
        } else if let Some(value) = header(line, b"connection") {
            is_last = value.eq_ignore_ascii_case(b"close");
        } else if header(line, b"transfer-encoding").is_some() {
            return Err(unreadable("a body without a length"));
        }
    }
    match bytes.len() {
        0..=MESSAGE_MAX_BYTES => Ok(None),
        _ => Err(unreadable("a head without an end")),
    }
}

/// Where the body that begins at `begin` ends, if it lies within `available` bytes.
fn ending(begin: usize, length: u64, available: usize) -> Option<Range<usize>> {
    let end = begin.checked_add(usize::try_from(length).ok()?)?;
    (end <= available).then_some(begin..end)
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("cannot read {what}"))
}

/// The line at the front, without its end.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(&bytes[..end])
}

/// The value of a header, if the line has this name. Most have not, which the place of the colon tells.
fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let is_named = line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name);
    is_named.then(|| line[name.len() + 1..].trim_ascii())
}

/// A whole number, if the bytes are one and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    let add = |number: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    (!digits.is_empty()).then(|| digits.iter().try_fold(0, add)).flatten()
}

/// Is the request at the front of `bytes` a question rather than a delivery?
pub fn is_get(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GET ")
}

/// The status of the response at the front of `bytes`.
pub fn status(bytes: &[u8]) -> Option<u16> {
    number(bytes.get(9..12)?).and_then(|status| u16::try_from(status).ok())
}

/// The number at the end of the path of the request at the front of `bytes`, as in `/w/17`.
pub fn number_in_path(bytes: &[u8]) -> Option<u64> {
    let path = line(bytes)?.split(|byte| *byte == b' ').nth(1)?;
    number(path.rsplit(|byte| *byte == b'/').next()?)
}

/// A whole number in bodies, found by the key before it.
pub struct Field {
    needle: Vec<u8>,
    /// Where it was the last time, which is where it nearly always is.
    place: usize,
}

impl Field {
    /// The member of this name, anywhere in a JSON text.
    pub fn new(key: &str) -> Self {
        Self { needle: format!("\"{key}\":").into_bytes(), place: 0 }
    }

    /// Its number in this body.
    pub fn read(&mut self, body: &[u8]) -> Option<u64> {
        let is_there = body.get(self.place..).is_some_and(|rest| rest.starts_with(&self.needle));
        if !is_there {
            self.place = body.windows(self.needle.len()).position(|window| window == self.needle)?;
        }
        let rest = body[self.place + self.needle.len()..].trim_ascii_start();
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        number(&rest[..digits])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_their_length_says() {
        let two = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST / HT";
        let message = first(two).unwrap().unwrap();
        assert_eq!((&two[message.body.clone()], message.is_last), (&b"abc"[..], false));
        for cut in 0..message.body.end {
            assert_eq!(first(&two[..cut]).unwrap(), None, "{cut}");
        }
        let last = b"GET / HTTP/1.1\r\nconnection: Close\r\n\r\n";
        assert_eq!(first(last).unwrap(), Some(Message { body: last.len()..last.len(), is_last: true }));
        assert!(is_get(last) && !is_get(two));
    }

    #[test]
    fn messages_whose_end_cannot_be_known_are_errors() {
        for head in
            ["Content-Length: x", "content-length:", "Content-Length: -1", "Transfer-Encoding: chunked"]
        {
            let text = format!("POST / HTTP/1.1\r\n{head}\r\n\r\n");
            assert!(first(text.as_bytes()).is_err(), "{head}");
        }
        let endless = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", u64::MAX);
        assert_eq!(first(endless.as_bytes()).unwrap(), None);
        assert!(first(&vec![b'a'; MESSAGE_MAX_BYTES + 1]).is_err());
    }

    #[test]
    fn numbers_are_found_in_bodies_wherever_they_stand() {
        let mut field = Field::new("sent_us");
        for (body, number) in [
            (r#"{"a":1,"data":{"sent_us":1700000000000001}}"#, Some(1_700_000_000_000_001)),
            (r#"{"b":1,"data":{"sent_us":1700000000000002}}"#, Some(1_700_000_000_000_002)),
            (r#"{"sent_us": 7}"#, Some(7)),
            (r#"{"sent_us":"x"}"#, None),
            (r#"{"a":1,"sent_us":8"#, Some(8)),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(field.read(body.as_bytes()), number, "{body}");
        }
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
