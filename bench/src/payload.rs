//! The JSON that is sent: when and as which, filled up to a length.

use std::io::Write as _;

/// The key of the time a body was made: microseconds since 1970.
pub const TIME_KEY: &str = "sent_us";
/// The key of a body's number, by which the sink knows repeated ones.
pub const NUMBER_KEY: &str = "n";

/// A JSON object of `length` bytes, or as long as it must be.
pub fn filled(sent_us: i64, number: u64, length: usize) -> String {
    let mut text = format!("{{\"{TIME_KEY}\":{sent_us},\"{NUMBER_KEY}\":{number},\"data\":\"");
    while text.len() + 2 < length {
        text.push('x');
    }
    text.push_str("\"}");
    text
}

/// The same at the end of a buffer, for whoever must spend less on it than the sender that is measured does.
pub fn append_filled(buffer: &mut Vec<u8>, sent_us: i64, number: u64, length: usize) {
    let begin = buffer.len();
    // Writing to a `Vec` cannot fail.
    let _ = write!(buffer, "{{\"{TIME_KEY}\":{sent_us},\"{NUMBER_KEY}\":{number},\"data\":\"");
    buffer.resize(buffer.len().max(begin + length.saturating_sub(2)), b'x');
    buffer.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_have_the_length_asked_for() {
        let text = filled(1_700_000_000_000_001, 7, 300);
        assert_eq!(text.len(), 300);
        assert!(text.starts_with(r#"{"sent_us":1700000000000001,"n":7,"data":"xxx"#), "{text}");
        assert!(text.ends_with("x\"}"));
    }

    #[test]
    fn both_ways_make_the_same_object() {
        for (number, length) in [(0, 0), (7, 300), (u64::MAX, 60), (1, 1_000)] {
            let mut buffer = b"before".to_vec();
            append_filled(&mut buffer, 1_700_000_000_000_001, number, length);
            assert_eq!(buffer[6..], *filled(1_700_000_000_000_001, number, length).as_bytes(), "{number}");
        }
    }
}
