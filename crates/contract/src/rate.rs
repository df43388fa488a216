//! Rate headers.

use posthaste_core::UnixMs;
use posthaste_core::rate::RateAnswer;

use crate::model::Rate;

impl Rate {
    /// The headers that tell a caller where they stand.
    #[must_use]
    pub fn answer_headers(&self, answer: &RateAnswer, now: UnixMs) -> Vec<(&'static str, String)> {
        let _ = (answer, now);
        unimplemented!()
    }
}
