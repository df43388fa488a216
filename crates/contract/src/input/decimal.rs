//! Decimal numbers as text, never as floating point.

use posthaste_core::Decimal;

/// The most characters of a decimal number.
pub const CHARS_MAX: usize = Decimal::CHARS_MAX;

/// Digits, with a fraction or without. No sign, exponent, separator or foreign digit.
pub fn is_decimal(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    text.len() <= CHARS_MAX && is_digits(whole) && fraction.is_none_or(is_digits)
}

/// Is a decimal number above zero?
pub fn is_positive(text: &str) -> bool {
    text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_are_numbers() {
        for text in ["0", "0.1", "100", "007.50", "0.000000000000000001", "79228162514264337593543950336"] {
            assert!(is_decimal(text), "{text}");
        }
        let long = "1".repeat(1000);
        for text in [
            "", ".", "1.", ".5", "-0", "-1", "+1", "1e3", "1E3", "0x10", "1_000", "1,000", "1 000", " 1",
            "NaN", "Infinity", "١٢", "１０", "1.2.3", &long,
        ] {
            assert!(!is_decimal(text), "{text}");
        }
        assert!(is_positive("0.01") && !is_positive("0.0") && !is_positive("0"));
    }
}
