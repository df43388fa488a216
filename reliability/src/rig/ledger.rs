//! The books of publishers: what was acknowledged to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What publishers wrote down. Every event carries a number of its own in `data.number`.
#[derive(Default)]
pub struct Ledger(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// By number, the id that the publisher was told with its 2xx.
    acknowledged: BTreeMap<u64, String>,
    /// Numbers whose publisher got no answer or a 5xx: they may be stored or not.
    unknown: BTreeSet<u64>,
    /// How often a publisher was told that an event breaks a rule. None does.
    refused: usize,
}

impl Ledger {
    /// A publisher was told that an event is accepted.
    pub fn acknowledge(&self, number: u64, id: &str) {
        let mut books = self.lock();
        books.unknown.remove(&number);
        books.acknowledged.insert(number, id.to_owned());
    }

    /// A publisher got no answer, or "unknown".
    pub fn leave_open(&self, number: u64) {
        self.lock().unknown.insert(number);
    }

    /// A publisher was told that an event breaks a rule. Of its fate nothing is known that was not known before.
    pub fn refuse(&self) {
        self.lock().refused += 1;
    }

    /// How often that was.
    pub fn refused(&self) -> usize {
        self.lock().refused
    }

    /// How many events were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.lock().acknowledged.len()
    }

    /// The ids that publishers were told, by number.
    pub fn acknowledged_ids(&self) -> BTreeMap<u64, String> {
        self.lock().acknowledged.clone()
    }

    /// Numbers whose fate their publishers do not know.
    pub fn left_open(&self) -> BTreeSet<u64> {
        self.lock().unknown.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
