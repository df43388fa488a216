//! The JSON that is sent: when and as which, filled up to a length.

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
}
