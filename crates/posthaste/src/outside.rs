//! The real clock and the real dice. Everything else is handed them as traits.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use posthaste_core::{Clock, Dice, UnixMs};

/// The computer's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one real clock")]
    fn now(&self) -> UnixMs {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMs(since_1970.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// The operating system's random numbers.
#[derive(Debug, Default)]
pub struct SystemDice(SystemRandom);

impl Dice for SystemDice {
    fn fill(&self, bytes: &mut [u8]) {
        if self.0.fill(bytes).is_err() {
            // Keys made from anything else would be guessable: better no process than a weak one.
            tracing::error!("the operating system gives no random numbers");
            std::process::abort();
        }
    }
}
