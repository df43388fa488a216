//! What may surprise: time and chance. The network and the store have traits of their own in their crates.

use crate::time::UnixMs;

/// The wall clock.
pub trait Clock: Send + Sync {
    /// The time now, in UTC.
    fn now(&self) -> UnixMs;
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
