//! Durations counted in buckets that grow with the duration, so that any percentile is known to about 3 %.

use serde::{Deserialize, Serialize};

/// Buckets for each doubling.
const STEPS: u64 = 32;
const STEPS_LOG2: u32 = STEPS.ilog2();

/// Counts of durations in microseconds.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_us: u64,
}

/// What is told of a histogram.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Summary {
    pub count: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; index(u64::MAX) + 1], total: 0, max_us: 0 }
    }

    pub fn add(&mut self, us: u64) {
        self.counts[index(us)] += 1;
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    /// Takes over the counts of another.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.total += other.total;
        self.max_us = self.max_us.max(other.max_us);
    }

    pub fn summary(&self) -> Summary {
        Summary {
            count: self.total,
            p50_us: self.quantile(0.5),
            p90_us: self.quantile(0.9),
            p99_us: self.quantile(0.99),
            p999_us: self.quantile(0.999),
            max_us: self.max_us,
        }
    }

    fn quantile(&self, share: f64) -> u64 {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return highest(index).min(self.max_us);
            }
        }
        0
    }
}

/// The bucket of a value: exact below [`STEPS`], then [`STEPS`] buckets for each doubling.
fn index(us: u64) -> usize {
    let doublings = us.max(STEPS).ilog2() - STEPS_LOG2;
    let within = us >> doublings;
    (u64::from(doublings) * STEPS + within) as usize
}

/// The highest value of a bucket.
fn highest(index: usize) -> u64 {
    let index = index as u64;
    let doublings = (index / STEPS).saturating_sub(1);
    let within = index - doublings * STEPS;
    ((u128::from(within) + 1) << doublings).saturating_sub(1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for us in [0, 1, 31, 32, 33, 63, 64, 100, 1_000, 65_535, 65_536, 10_000_000, u64::MAX] {
            let bucket = index(us);
            assert!(highest(bucket) >= us, "{us}");
            assert!(bucket == 0 || highest(bucket - 1) < us, "{us}");
        }
    }

    #[test]
    fn percentiles_are_near_the_truth() {
        let mut histogram = Histogram::new();
        (1..=1_000).for_each(|us| histogram.add(us));
        let summary = histogram.summary();
        assert!((500..=520).contains(&summary.p50_us), "{summary:?}");
        assert!((990..=1_000).contains(&summary.p99_us), "{summary:?}");
        assert_eq!((summary.count, summary.max_us), (1_000, 1_000));
        assert_eq!(Histogram::new().summary().p99_us, 0);
    }
}
