//! Rate headers.

use posthaste_core::UnixMs;
use posthaste_core::rate::RateAnswer;

use crate::model::{Rate, RateHeaders};

impl Rate {
    /// The headers that tell a caller where they stand.
    #[must_use]
    pub fn answer_headers(&self, answer: &RateAnswer, now: UnixMs) -> Vec<(&'static str, String)> {
        let resets_in_s = answer.resets_in.as_secs() + u64::from(answer.resets_in.subsec_nanos() > 0);
        let (limit, remaining) = (self.limit.units.to_string(), answer.remaining.to_string());
        match self.headers {
            RateHeaders::None => Vec::new(),
            RateHeaders::XRateLimit => vec![
                ("x-ratelimit-limit", limit),
                ("x-ratelimit-remaining", remaining),
                (
                    "x-ratelimit-reset",
                    now.plus(std::time::Duration::from_secs(resets_in_s)).seconds().to_string(),
                ),
            ],
            RateHeaders::RateLimit => vec![
                ("ratelimit-limit", limit),
                ("ratelimit-remaining", remaining),
                ("ratelimit-reset", resets_in_s.to_string()),
            ],
        }
    }
}
