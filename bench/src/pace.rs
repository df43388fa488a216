//! When to send: as fast as answers come, or evenly spread over time and connections.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The turns of one connection.
#[derive(Clone, Copy)]
pub struct Pace {
    first: Instant,
    /// Zero: at once.
    between: Duration,
}

impl Pace {
    /// For connection `number` of `connections` that send `per_second` requests between them.
    pub fn new(per_second: Option<u64>, connections: u32, number: u32, began: Instant) -> Self {
        let apart = per_second
            .map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.clamp(1, 1_000_000) as u32);
        Self { first: began + apart * number, between: apart * connections }
    }

    /// Waits for the `count`-th turn, from 1.
    pub async fn turn(&self, count: u64) {
        if !self.between.is_zero() {
            sleep_until(self.first + self.between * u32::try_from(count - 1).unwrap_or(u32::MAX)).await;
        }
    }
}
