//! The real clock and the real dice. Everything else is handed them as traits.

mod server_clock;

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use posthaste_core::{Clock, Dice, UnixMs};

pub use server_clock::ServerClock;

/// The computer's clock, for commands, which wait for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one real clock")]
    fn now(&self) -> UnixMs {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMs(since_1970.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// How many random bytes are fetched at a time: asking for a few costs nearly as much as asking for many.
const AHEAD_BYTES: usize = 4096;

/// The operating system's random numbers, fetched ahead. What was handed out is wiped here.
#[derive(Default)]
pub struct SystemDice {
    source: SystemRandom,
    ahead: Mutex<Ahead>,
}

/// Random bytes that nobody has seen: the last `left` of them.
struct Ahead {
    bytes: Box<[u8; AHEAD_BYTES]>,
    left: usize,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { bytes: Box::new([0; AHEAD_BYTES]), left: 0 }
    }
}

impl Ahead {
    /// The next so many bytes, if they are there.
    fn next(&mut self, count: usize) -> Option<&mut [u8]> {
        let start = self.bytes.len() - self.left;
        self.left = self.left.checked_sub(count)?;
        self.bytes.get_mut(start..start + count)
    }
}

impl SystemDice {
    fn fetch(&self, bytes: &mut [u8]) {
        if self.source.fill(bytes).is_err() {
            // Keys made from anything else would be guessable: better no process than a weak one.
            tracing::error!("the operating system gives no random numbers");
            std::process::abort();
        }
    }
}

impl Dice for SystemDice {
    fn fill(&self, bytes: &mut [u8]) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.left < bytes.len() {
            if bytes.len() > AHEAD_BYTES {
                return self.fetch(bytes);
            }
            self.fetch(&mut *ahead.bytes);
            ahead.left = AHEAD_BYTES;
        }
        if let Some(next) = ahead.next(bytes.len()) {
            bytes.copy_from_slice(next);
            next.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_handed_out_twice_or_unfilled() {
        let dice = SystemDice::default();
        let mut seen = std::collections::HashSet::new();
        for length in [16, 4_000, 90, 4_096, 16, 5_000, 4_095, 17] {
            let mut bytes = vec![0; length];
            dice.fill(&mut bytes);
            for part in bytes.chunks_exact(16) {
                assert!(seen.insert(part.to_vec()), "{length}");
                assert_ne!(part, [0; 16], "{length}");
            }
        }
        let ahead = dice.ahead.lock().unwrap();
        assert!(ahead.bytes[..AHEAD_BYTES - ahead.left].iter().all(|byte| *byte == 0));
        assert!(ahead.left > 0);
    }
}
