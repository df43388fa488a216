//! Watched values: events that are meant for a webhook only when a value crosses the webhook's own limit.

use crate::decimal::Decimal;

/// What an event says of a watched value, and what it is measured by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The value, a [`Decimal`] as it was spelled.
    pub value: String,
    /// What the value belongs to; each is watched on its own. Empty if there is only one.
    pub per: String,
    /// The webhook's field with the limit.
    pub limit: String,
    /// Does it count when the value falls below the limit, rather than rises above it?
    pub falls_below: bool,
}

/// A reading with the one before it, kept with the event: whoever asks later, gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What the event says.
    pub reading: Reading,
    /// The value that the event before it told of the same account and the same thing; `None` if there was none.
    pub before: Option<String>,
}

impl Watched {
    /// Does the value cross this limit? One that was on the far side already does not; the first one known of does if it
    /// is there. Nothing crosses a limit that is not given, or is no number.
    #[must_use]
    pub fn crosses(&self, limit: Option<&str>) -> bool {
        let Some(limit) = limit.and_then(Decimal::parse) else { return false };
        let is_beyond = |text: &str| {
            let value = Decimal::parse(text);
            value.is_some_and(|value| if self.reading.falls_below { value < limit } else { value > limit })
        };
        is_beyond(&self.reading.value) && !self.before.as_deref().is_some_and(is_beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `B` for "falls below", `A` for "rises above"; the value before, the new one, the limit, and whether it fires.
    type Row = (char, Option<&'static str>, &'static str, Option<&'static str>, bool);

    const ROWS: &[Row] = &[
        // The first one known of.
        ('B', None, "0.05", Some("0.1"), true),
        ('B', None, "0.1", Some("0.1"), false),
        ('B', None, "0.5", Some("0.1"), false),
        // The edge, from above and from the limit itself.
        ('B', Some("0.5"), "0.05", Some("0.1"), true),
        ('B', Some("0.1"), "0.05", Some("0.1"), true),
        ('B', Some("0.5"), "0.1", Some("0.1"), false),
        // Staying below is no crossing, nor is coming back.
        ('B', Some("0.05"), "0.04", Some("0.1"), false),
        ('B', Some("0.05"), "0.05", Some("0.1"), false),
        ('B', Some("0.05"), "2", Some("0.1"), false),
        // Exact: neither of these is the limit.
        ('B', Some("1"), "0.30000000000000004", Some("0.3"), false),
        ('B', Some("0.30000000000000004"), "0.3", Some("0.30000000000000004"), true),
        ('B', Some("1"), "1e-1", Some("0.1"), false),
        ('B', Some("1e-1"), "0.0999999999999999999999", Some("0.1"), true),
        ('B', Some("0.000000000000000001"), "0", Some("0.000000000000000001"), true),
        ('B', Some("1"), "0.000000000000000001", Some("0.000000000000000002"), true),
        (
            'B',
            Some("79228162514264337593543950336"),
            "79228162514264337593543950335",
            Some("79228162514264337593543950336"),
            true,
        ),
        (
            'B',
            Some("79228162514264337593543950337"),
            "79228162514264337593543950336",
            Some("79228162514264337593543950336"),
            false,
        ),
        ('B', Some("1e999999999"), "-1e999999999", Some("0.1"), true),
        ('B', Some("1"), "1e-999999999", Some("0.1"), true),
        ('B', Some("1"), "-0", Some("0.1"), true),
        ('B', Some("-5"), "-6", Some("0.1"), false),
        // A limit that was moved is measured as it is now.
        ('B', Some("0.05"), "0.04", Some("0.045"), true),
        // Without a limit nothing fires.
        ('B', Some("1"), "0", None, false),
        ('B', Some("1"), "0", Some(""), false),
        ('B', Some("1"), "0", Some("low"), false),
        // The other way round.
        ('A', None, "5", Some("1"), true),
        ('A', None, "1", Some("1"), false),
        ('A', Some("1"), "1.000000000000000001", Some("1"), true),
        ('A', Some("2"), "3", Some("1"), false),
        ('A', Some("2"), "0", Some("1"), false),
        ('A', Some("0"), "1e999999999", Some("1"), true),
    ];

    #[test]
    fn a_value_fires_when_it_crosses_and_only_then() {
        for (direction, before, value, limit, expected) in ROWS {
            let reading = Reading {
                value: (*value).to_owned(),
                per: String::new(),
                limit: "floor".to_owned(),
                falls_below: *direction == 'B',
            };
            let watched = Watched { reading, before: before.map(str::to_owned) };
            let row = format!("{direction}: {before:?}, then {value}, against {limit:?}");
            assert_eq!(watched.crosses(*limit), *expected, "{row}");
        }
        println!("counted | requests | values against limits | {}", ROWS.len());
    }
}
