//! Decimal numbers as text, compared exactly and never as floating point.

use std::cmp::Ordering;

/// A number as JSON spells it, read where it lies: nothing is allocated, whatever its exponent says.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    is_negative: bool,
    /// The power of ten that 0.DIGITS is multiplied by; the least there is for zero.
    scale: i64,
    /// The digits before the point and those behind it, without zeros at either end of the two together.
    digits: (&'a str, &'a str),
}

impl<'a> Decimal<'a> {
    /// The most characters of a number.
    pub const CHARS_MAX: usize = 80;

    /// Reads `-12.5e3` and the like. Digits are ASCII; there is no `+` in front, no separator and no blank, zeros in front
    /// do not matter. `None` also if the exponent does not fit into 64 bits.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > Self::CHARS_MAX {
            return None;
        }
        let (is_negative, number) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match number.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (number, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        Self::of(is_negative, whole.trim_start_matches('0'), fraction.trim_end_matches('0'), exponent)
    }

    fn of(is_negative: bool, whole: &'a str, fraction: &'a str, exponent: i64) -> Option<Self> {
        let places = i64::try_from(whole.len()).ok()?;
        let (scale, digits) = if whole.is_empty() {
            let first = fraction.trim_start_matches('0');
            let zeros = i64::try_from(fraction.len() - first.len()).ok()?;
            (exponent.checked_sub(zeros)?, ("", first))
        } else if fraction.is_empty() {
            (exponent.checked_add(places)?, (whole.trim_end_matches('0'), ""))
        } else {
            (exponent.checked_add(places)?, (whole, fraction))
        };
        let is_zero = digits == ("", "");
        Some(Self {
            is_negative: is_negative && !is_zero,
            scale: if is_zero { i64::MIN } else { scale },
            digits,
        })
    }

    /// Compares without the sign.
    fn cmp_size(&self, other: &Self) -> Ordering {
        let digits = |number: &Self| number.digits.0.bytes().chain(number.digits.1.bytes());
        self.scale.cmp(&other.scale).then_with(|| digits(self).cmp(digits(other)))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.cmp_size(other),
            (true, true) => other.cmp_size(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if is_digits(digits) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_exactly() {
        // Each line holds spellings of one number, and the lines go up.
        let lines: &[&[&str]] = &[
            &["-1e999999999", "-10e999999998"],
            &["-2", "-2.0", "-02"],
            &["-0.30000000000000004"],
            &["-0.3"],
            &["-1e-999999999"],
            &["0", "-0", "0.0", "-0.000", "0e9", "0e-999999999999", "000", "0E999999999999"],
            &["1e-999999999", "0.1e-999999998"],
            &["0.000000000000000001", "1e-18", "1E-18"],
            &["0.099999999999999999999999999999"],
            &["0.1", "1e-1", "0.10", "00.1", "10e-2", "0.01e1", "0.01e+01"],
            &["0.1000000000000000055511151231257827021181583404541015625"],
            &["0.3", "3e-1"],
            &["0.30000000000000004"],
            &["1", "1.0", "0.1e1", "10e-1", "1e0", "1e-0", "1e00000000000000000000000000000000000"],
            &["1.01", "101e-2"],
            &["10", "1e1", "010", "10.00", "1E+1"],
            &["10.1"],
            &["101", "1.01e2"],
            &["9007199254740992"],
            &["9007199254740993"],
            &["79228162514264337593543950335.999999999999999999"],
            &["79228162514264337593543950336", "7.9228162514264337593543950336e28"],
            &["79228162514264337593543950336.000000000000000001"],
            &["1e308"],
            &["1e400"],
            &["1e999999999", "10e999999998"],
            &["1e9223372036854775806"],
        ];
        let numbered =
            || lines.iter().enumerate().flat_map(|(line, texts)| texts.iter().map(move |text| (line, text)));
        let mut compared = 0;
        for (line, text) in numbered() {
            for (other_line, other) in numbered() {
                assert_eq!(
                    Decimal::parse(text).unwrap().cmp(&Decimal::parse(other).unwrap()),
                    line.cmp(&other_line),
                    "{text} and {other}"
                );
                compared += 1;
            }
        }
        println!("counted | requests | pairs of decimal numbers compared | {compared}");
    }

    #[test]
    fn what_is_no_number_is_none() {
        let long = "1".repeat(Decimal::CHARS_MAX + 1);
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "-.5",
            "+1",
            "--1",
            "0x10",
            "1_000",
            "1,000",
            "1 000",
            " 1",
            "1 ",
            "1\n",
            "NaN",
            "Infinity",
            "-Infinity",
            "١٢",
            "１０",
            "1.2.3",
            "1e",
            "1e+",
            "1e-",
            "1e1.5",
            "1e 5",
            "e5",
            "1e5e5",
            "1e++5",
            "1e9223372036854775808",
            "1e-9223372036854775809",
            "1e99999999999999999999999999",
            "null",
            "true",
            &long,
        ] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
        assert!(Decimal::parse(&long[1..]).is_some());
        // The ends of the exponent's range neither overflow nor wrap.
        for text in ["1e9223372036854775807", "0.01e-9223372036854775808"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }
}
