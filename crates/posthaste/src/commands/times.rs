//! Times and spans as people write them.

use std::time::Duration;

use posthaste_core::UnixMs;

use crate::failure::Failure;

/// A time, or an age before `now`.
///
/// # Errors
/// If it is neither.
pub fn instant(text: &str, now: UnixMs) -> Result<UnixMs, Failure> {
    UnixMs::parse_rfc3339(text).or_else(|| Some(now.minus(spelled(text)?))).ok_or_else(|| {
        Failure::usage(format!("`{text}` is no time such as 2026-04-18T10:00:00Z and no age such as 2h"))
    })
}

/// A span such as `90m`, `2h` or `3d`.
///
/// # Errors
/// If it is none.
pub fn span(text: &str) -> Result<Duration, Failure> {
    spelled(text).ok_or_else(|| Failure::usage(format!("`{text}` is no span such as 90m, 12h or 30d")))
}

fn spelled(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_as_such_or_as_ages() {
        let now = UnixMs(1_800_000_000_000);
        for (text, expected) in [
            ("2h", Some(now.0 - 7_200_000)),
            ("3d", Some(now.0 - 259_200_000)),
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("", None),
            ("h", None),
            ("2w", None),
            ("2é", None),
            ("yesterday", None),
        ] {
            assert_eq!(instant(text, now).ok().map(|at| at.0), expected, "{text}");
        }
    }

    #[test]
    fn spans_have_a_unit() {
        for (text, expected) in
            [("90m", Some(5_400)), ("30d", Some(2_592_000)), ("0s", Some(0)), ("5", None), ("-1d", None)]
        {
            assert_eq!(span(text).ok().map(|span| span.as_secs()), expected, "{text}");
        }
    }
}
