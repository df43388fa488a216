//! Many worlds, on as many threads as are wanted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::run::{Report, run};
use crate::tally::Tally;
use crate::world::Wishes;

/// So many worlds have some of everything: any hundred of them see some two hundred ends of processes.
const TELLING_WORLDS: u64 = 50;

/// What many worlds came to.
#[derive(Debug, Default)]
pub struct Totals {
    /// What was wanted of each world.
    pub wishes: Wishes,
    /// Worlds that ran.
    pub worlds: u64,
    /// Events stored.
    pub events: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Attempts repeated because a process ended before their outcome was recorded.
    pub repeated: u64,
    /// Processes that ended, in whichever way.
    pub processes_ended: u64,
    /// Faults by kind.
    pub faults: Tally,
    /// How long all of them took in simulated time.
    pub lasted: Duration,
    /// What should not have happened, by seed.
    pub failed: BTreeMap<u64, Vec<String>>,
}

impl Totals {
    fn add(&mut self, seed: u64, report: Report) {
        self.worlds += 1;
        self.events += report.events as u64;
        self.attempts += report.attempts;
        self.repeated += report.repeated;
        self.processes_ended += report.processes_ended;
        self.faults.add(&report.faults);
        self.lasted += report.lasted;
        if !report.violations.is_empty() {
            self.failed.insert(seed, report.violations);
        }
    }

    /// Whole simulated hours.
    #[must_use]
    pub fn hours(&self) -> u64 {
        self.lasted.as_secs() / 3_600
    }

    /// How many faults of this kind there were.
    #[must_use]
    pub fn faults_of(&self, kind: &str) -> u64 {
        self.faults.of(kind)
    }

    /// A line for each failed world: what was seen first, and the one command that repeats it.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        let clocks = if self.wishes.sets_clocks { " --clocks" } else { "" };
        self.failed.iter().map(move |(seed, violations)| {
            let first = violations.first().map_or("", String::as_str);
            format!(
                "seed {seed}: {first}; repeat with: cargo run --release -p posthaste-sim -- {seed}{clocks}"
            )
        })
    }

    /// What so many worlds cannot be without and these are: where nothing happens nothing is proved. Of few worlds
    /// nothing is asked.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let counts = [
            ("attempts", self.attempts),
            ("faults", self.faults.total()),
            ("ends of processes", self.processes_ended),
            ("attempts repeated after them", self.repeated),
        ];
        let is_asked = self.worlds >= TELLING_WORLDS;
        counts.into_iter().filter(move |(_, count)| is_asked && *count == 0).map(|(what, _)| what)
    }
}

/// Runs the worlds of these seeds on `jobs` threads.
#[must_use]
pub fn run_many(seeds: Range<u64>, jobs: usize, wishes: Wishes) -> Totals {
    let (next, totals) = (AtomicU64::new(seeds.start), Mutex::new(Totals { wishes, ..Totals::default() }));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let report = run(seed, wishes);
                    if wishes.stops && !report.violations.is_empty() {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                    totals.lock().unwrap_or_else(PoisonError::into_inner).add(seed, report);
                }
            });
        }
    });
    totals.into_inner().unwrap_or_else(PoisonError::into_inner)
}
