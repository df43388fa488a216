//! Points in time as whole milliseconds, and how they are spelled.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// This time and `delay` more; stays at the largest value instead of overflowing.
    #[must_use]
    pub fn plus(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time less `delay`; stays at the smallest value instead of overflowing.
    #[must_use]
    pub fn minus(self, delay: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// RFC 3339 in UTC with whole seconds: `2026-04-18T10:00:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.spelled("%Y-%m-%dT%H:%M:%SZ")
    }

    /// RFC 3339 in UTC with milliseconds: `2026-04-18T10:00:00.000Z`.
    #[must_use]
    pub fn rfc3339_ms(self) -> String {
        self.spelled("%Y-%m-%dT%H:%M:%S.%3fZ")
    }

    /// Reads RFC 3339 with any offset; `None` if the text is none.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    fn spelled(self, format: &str) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        at.strftime(format).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_the_documents_spell_them() {
        let at = UnixMs::parse_rfc3339("2026-04-18T12:00:00.250+02:00").unwrap();
        assert_eq!(at.rfc3339(), "2026-04-18T10:00:00Z");
        assert_eq!(at.rfc3339_ms(), "2026-04-18T10:00:00.250Z");
        assert_eq!(UnixMs(-1).seconds(), -1);
    }
}
