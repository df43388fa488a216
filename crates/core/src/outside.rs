//! What may surprise: time and chance. The network and the store have traits of their own in their crates.

use crate::steady::SteadyMark;
use crate::time::UnixMs;

/// The time: what the wall clock shows, and what has passed.
pub trait Clock: Send + Sync {
    /// What the wall clock shows, in UTC. It can be set, so this may jump either way at any moment: it is what people
    /// and other machines are told, and nothing waits by it.
    fn now(&self) -> UnixMs;

    /// Steady time, which never jumps: what everything that waits waits by. For a clock that nobody sets it is the time.
    fn steady(&self) -> UnixMs {
        self.now()
    }

    /// Where steady time stands, to be remembered for the next process; `None` if this clock keeps none.
    fn mark(&self) -> Option<SteadyMark> {
        None
    }

    /// Goes on with the steady time that an earlier process had. To be called before anything waits.
    fn resume(&self, _mark: Option<&SteadyMark>) {}
}

/// A source of random bytes, good enough for keys and secrets.
pub trait Dice: Send + Sync {
    /// Fills `bytes` with random values.
    fn fill(&self, bytes: &mut [u8]);

    /// A random 64-bit number.
    fn roll(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number in `0.0..1.0`.
    fn fraction(&self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `0..bound`, without bias. `bound` must not be 0.
    fn below(&self, bound: u64) -> u64 {
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let roll = self.roll();
            if roll < fair {
                return roll % bound;
            }
        }
    }
}
