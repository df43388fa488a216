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
        self.spelled("%Y-%m-%dT%H:%M:%SZ", WITH_S)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-04-18T10:00:00.000Z`.
    #[must_use]
    pub fn rfc3339_ms(self) -> String {
        self.spelled("%Y-%m-%dT%H:%M:%S.%3fZ", WITH_MS)
    }

    /// Reads RFC 3339 with any offset; `None` if the text is none.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    /// As `format` says, which `form` says too: reading a format at every spelling costs more than the spelling.
    fn spelled<const LENGTH: usize>(self, format: &str, mut form: [u8; LENGTH]) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        let civil = jiff::tz::Offset::UTC.to_datetime(at);
        let Ok(year) = u16::try_from(civil.year()) else { return at.strftime(format).to_string() };
        put(&mut form[..4], year);
        for (place, number) in [
            (5, civil.month()),
            (8, civil.day()),
            (11, civil.hour()),
            (14, civil.minute()),
            (17, civil.second()),
        ] {
            put(&mut form[place..place + 2], number.unsigned_abs().into());
        }
        if LENGTH == WITH_MS.len() {
            put(&mut form[20..23], civil.millisecond().unsigned_abs());
        }
        String::from_utf8_lossy(&form).into_owned()
    }
}

const WITH_S: [u8; 20] = *b"0000-00-00T00:00:00Z";
const WITH_MS: [u8; 24] = *b"0000-00-00T00:00:00.000Z";

/// Writes a number with as many decimal digits as there are places.
fn put(places: &mut [u8], mut number: u16) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
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
        for (ms, spelled) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-001-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-30T22:00:00.999Z"),
        ] {
            assert_eq!(UnixMs(ms).rfc3339_ms(), spelled);
        }
    }
}
