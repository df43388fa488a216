//! When a failed attempt is repeated.

use std::time::Duration;

use crate::attempt::{Outcome, Response};
use crate::outside::Dice;
use crate::policy::DeliveryPolicy;
use crate::time::UnixMs;

/// The longest wait a receiver's `Retry-After` can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// What follows from an ended attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The receiver took it.
    Delivered,
    /// Try again, not before this time.
    RetryAt(UnixMs),
    /// It was the last try.
    GiveUp,
    /// The receiver says it is gone for good: give up and switch the webhook off.
    Gone,
}

/// Decides what follows attempt `number` (from 1), which ended at `ended_at` with `outcome`.
#[must_use]
pub fn after(
    number: u32,
    outcome: &Outcome,
    ended_at: UnixMs,
    policy: &DeliveryPolicy,
    dice: &dyn Dice,
) -> Next {
    match outcome.status() {
        Some(status) if policy.success.contains(status) => return Next::Delivered,
        Some(410) if policy.gone_disables => return Next::Gone,
        _ => {}
    }
    let index = number.saturating_sub(1) as usize;
    let Some(delay) = policy.retry.delays.get(index) else { return Next::GiveUp };
    let delay = delay.mul_f64(1.0 + policy.retry.jitter * dice.fraction());
    let asked = match outcome {
        Outcome::Answered(response) if policy.retry.honours_retry_after => {
            retry_after(response, ended_at).unwrap_or_default()
        }
        _ => Duration::ZERO,
    };
    Next::RetryAt(ended_at.plus(ceil_to_ms(delay.max(asked))))
}

/// The wait a 429 or 503 asks for (RFC 9110 section 10.2.3), at most [`RETRY_AFTER_MAX`]; `None` if it asks for none,
/// or for two at a time.
fn retry_after(response: &Response, now: UnixMs) -> Option<Duration> {
    if !matches!(response.status, 429 | 503) {
        return None;
    }
    let text = response.sole_header("retry-after")?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        http_date(text)?.since(now)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Reads a date in one of the three forms of RFC 9110 section 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`, and the two that
/// are out of use and still to be understood.
fn http_date(text: &str) -> Option<UnixMs> {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let broken_down = FORMS.iter().find_map(|form| jiff::fmt::strtime::parse(form, text).ok())?;
    let date = broken_down.to_datetime().ok()?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC);
    // The very last day jiff knows has no timestamp in UTC: as good as for ever.
    Some(zoned.map_or(UnixMs(i64::MAX), |at| UnixMs(at.timestamp().as_millisecond())))
}

/// A retry must never be early, so part milliseconds round up.
fn ceil_to_ms(delay: Duration) -> Duration {
    Duration::from_millis(u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::{Fault, FaultKind};
    use crate::policy::{DisableCount, DisableRule, QueuedOnDelete, RetrySchedule, StatusSet};

    struct Loaded;
    impl Dice for Loaded {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xff);
        }
    }

    fn policy() -> DeliveryPolicy {
        DeliveryPolicy {
            timeout: Duration::from_secs(10),
            success: StatusSet(vec![200..=299]),
            gone_disables: true,
            retry: RetrySchedule {
                delays: vec![Duration::from_secs(5), Duration::from_secs(25)],
                jitter: 0.0,
                honours_retry_after: true,
            },
            disable: DisableRule { after: Some(10), count: DisableCount::Delivery },
            on_delete: QueuedOnDelete::Drop,
            rate: None,
        }
    }

    fn answered(status: u16, retry_after: Option<&str>) -> Outcome {
        let headers = retry_after.map(|value| ("Retry-After".to_owned(), value.as_bytes().to_vec()));
        Outcome::Answered(Response { status, headers: headers.into_iter().collect(), ..Response::default() })
    }

    #[test]
    fn the_schedule_is_exact_and_ends() {
        let fault = Outcome::Failed(Fault { kind: FaultKind::Timeout, detail: String::new() });
        let steps: Vec<Next> = (1..=3).map(|n| after(n, &fault, UnixMs(0), &policy(), &Loaded)).collect();
        assert_eq!(steps, [Next::RetryAt(UnixMs(5_000)), Next::RetryAt(UnixMs(25_000)), Next::GiveUp]);
    }

    #[test]
    fn answers_decide() {
        let at = |outcome: Outcome| after(1, &outcome, UnixMs(0), &policy(), &Loaded);
        assert_eq!(at(answered(204, None)), Next::Delivered);
        assert_eq!(at(answered(302, None)), Next::RetryAt(UnixMs(5_000)));
        assert_eq!(at(answered(410, None)), Next::Gone);
    }

    #[test]
    fn retry_after_lengthens_within_bounds_and_never_shortens() {
        let rows = [
            (503, "60", 60_000),
            (429, "1", 5_000),
            (500, "60", 5_000),
            (503, "99999999999", 3_600_000),
            (503, "99999999999999999999999999", 3_600_000),
            (503, "-1", 5_000),
            (503, "1.5", 5_000),
            (503, "", 5_000),
            (503, "Thu, 01 Jan 1970 00:00:30 GMT", 30_000),
            (503, "Fri, 31 Dec 9999 23:59:59 GMT", 3_600_000),
            (503, "Thursday, 01-Jan-70 00:00:30 GMT", 30_000),
            (503, "Thu Jan  1 00:00:30 1970", 30_000),
            (503, "Wed, 01 Jan 1970", 5_000),
            (503, "Wed, 01 Jan 1970 00:00:30 GMT", 5_000),
            (503, "Thu, 01 Jan 1970 00:00:30 +0000", 5_000),
            (503, "Wed, 31 Dec 1969 23:59:59 GMT", 5_000),
            (503, " 60 ", 60_000),
            (503, "0", 5_000),
            (503, "+60", 5_000),
            (503, "60s", 5_000),
            (503, "6e1", 5_000),
            (503, "0x60", 5_000),
            (503, "60, 120", 5_000),
            (503, "\u{666}\u{660}", 5_000),
            (503, &"9".repeat(8_000), 3_600_000),
            (503, "soon", 5_000),
        ];
        for (status, value, expected_ms) in rows {
            let next = after(1, &answered(status, Some(value)), UnixMs(0), &policy(), &Loaded);
            assert_eq!(next, Next::RetryAt(UnixMs(expected_ms)), "{status} {value}");
        }
        println!("counted | receivers | values of Retry-After | {}", rows.len());
    }

    #[test]
    fn two_values_of_retry_after_are_none() {
        let both = ["60", "120"].map(|value| ("retry-after".to_owned(), value.as_bytes().to_vec()));
        let response = Response { status: 503, headers: both.to_vec(), ..Response::default() };
        let next = after(1, &Outcome::Answered(response), UnixMs(0), &policy(), &Loaded);
        assert_eq!(next, Next::RetryAt(UnixMs(5_000)));
    }

    #[test]
    fn jitter_only_adds() {
        let mut jittered = policy();
        jittered.retry.jitter = 0.1;
        let Next::RetryAt(at) = after(1, &answered(500, None), UnixMs(0), &jittered, &Loaded) else {
            panic!("a retry is due")
        };
        assert!((5_000..=5_500).contains(&at.0), "{at:?}");
    }
}
