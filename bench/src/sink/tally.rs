//! What the sink counts.

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::histogram::{Histogram, Summary};
use crate::payload::{NUMBER_KEY, TIME_KEY};
use crate::request::Field;

/// The most different deliveries that can be told apart.
const MARKS_MAX: u64 = 1 << 28;

/// Counts of everything that arrived.
pub struct Tally {
    connections: u64,
    requests: u64,
    body_bytes: u64,
    last_arrival_us: i64,
    age: Histogram,
    seen: Seen,
    paths: u64,
    time: Field,
    number: Field,
}

/// What is told of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Connections that were opened, those for questions included.
    pub connections: u64,
    /// All requests.
    pub requests: u64,
    /// Those with a number, each number counted once for each path.
    pub distinct: u64,
    /// Those with a number that had come before by the same path.
    pub duplicates: u64,
    /// The length of all bodies.
    pub body_bytes: u64,
    /// When the latest request came, in microseconds since 1970.
    pub last_arrival_us: i64,
    /// The processor time the sink has used.
    pub cpu_us: i64,
    /// From the time in the body to its arrival here.
    pub age: Summary,
}

impl Tally {
    /// Tells `paths` numbered paths apart.
    pub fn new(paths: u64) -> Self {
        Self {
            connections: 0,
            requests: 0,
            body_bytes: 0,
            last_arrival_us: 0,
            age: Histogram::new(),
            seen: Seen::default(),
            paths: paths.max(1),
            time: Field::new(TIME_KEY),
            number: Field::new(NUMBER_KEY),
        }
    }

    /// Counts a connection.
    pub fn connected(&mut self) {
        self.connections += 1;
    }

    /// Counts a request by the number in its path, if there is one, and what its body says.
    pub fn add(&mut self, path: Option<u64>, body: &[u8]) {
        let now_us = clock::unix_us();
        self.requests += 1;
        self.body_bytes += body.len() as u64;
        self.last_arrival_us = now_us;
        if let Some(made_us) = self.time.read(body) {
            self.age.add(u64::try_from(now_us).unwrap_or(0).saturating_sub(made_us));
        }
        if let Some(number) = self.number.read(body) {
            self.seen.mark(number.saturating_mul(self.paths).saturating_add(path.unwrap_or(0) % self.paths));
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.connections,
            requests: self.requests,
            distinct: self.seen.distinct,
            duplicates: self.seen.repeated,
            body_bytes: self.body_bytes,
            last_arrival_us: self.last_arrival_us,
            cpu_us: clock::cpu_us(),
            age: self.age.summary(),
        }
    }

    /// All requests so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }
}

/// A set of small numbers, as bits.
#[derive(Default)]
struct Seen {
    words: Vec<u64>,
    distinct: u64,
    repeated: u64,
}

impl Seen {
    /// Numbers beyond [`MARKS_MAX`] are not told apart and not counted.
    fn mark(&mut self, number: u64) {
        if number >= MARKS_MAX {
            return;
        }
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.words.len() {
            self.words.resize((word + 1).next_power_of_two(), 0);
        }
        if self.words[word] & bit == 0 {
            self.words[word] |= bit;
            self.distinct += 1;
        } else {
            self.repeated += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::filled;

    #[test]
    fn repeated_numbers_count_as_duplicates() {
        let mut tally = Tally::new(10);
        for (path, number) in [(Some(1), 5), (Some(2), 5), (Some(1), 6), (Some(1), 5), (None, 5)] {
            tally.add(path, filled(clock::unix_us(), number, 60).as_bytes());
        }
        tally.add(None, b"{}");
        let counts = tally.counts();
        assert_eq!((counts.requests, counts.distinct, counts.duplicates), (6, 4, 1));
        assert_eq!(counts.age.count, 5);
    }
}
