//! The books: what was acknowledged to publishers, and what receivers got.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What publishers and receivers wrote down. Every event carries a number of its own in `data.number`.
#[derive(Default)]
pub struct Ledger(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// By number, the id that the publisher was told with its 2xx.
    acknowledged: BTreeMap<u64, String>,
    /// Numbers whose publisher got no answer or a 5xx: they may be stored or not.
    unknown: BTreeSet<u64>,
    /// By receiver and number, how many copies arrived that were answered with success, and how many in all.
    received: BTreeMap<(String, u64), Copies>,
}

/// How often an event arrived at one receiver.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    /// Answered with success.
    pub taken: u64,
    /// Requests in all.
    pub arrived: u64,
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

    /// A request arrived, and is answered.
    pub fn receive(&self, receiver: &str, number: u64, is_taken: bool) {
        let mut books = self.lock();
        let copies = books.received.entry((receiver.to_owned(), number)).or_default();
        copies.arrived += 1;
        copies.taken += u64::from(is_taken);
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

    /// How many requests arrived in all.
    pub fn arrived(&self) -> u64 {
        self.lock().received.values().map(|copies| copies.arrived).sum()
    }

    /// What arrived at a receiver, by number.
    pub fn received(&self, receiver: &str) -> BTreeMap<u64, Copies> {
        let books = self.lock();
        let of_it = books.received.iter().filter(|((name, _), _)| name == receiver);
        of_it.map(|((_, number), copies)| (*number, *copies)).collect()
    }

    /// The numbers of events that a receiver has taken with success.
    pub fn taken(&self, receiver: &str) -> BTreeSet<u64> {
        let received = self.received(receiver).into_iter();
        received.filter(|(_, copies)| copies.taken > 0).map(|(number, _)| number).collect()
    }

    /// Acknowledged events that a receiver has never taken with success.
    pub fn missing(&self, receiver: &str) -> Vec<u64> {
        let received = self.received(receiver);
        let is_missing = |number: &u64| received.get(number).is_none_or(|copies| copies.taken == 0);
        self.lock().acknowledged.keys().copied().filter(is_missing).collect()
    }

    /// Copies beyond the first that a receiver had taken with success: repeats that its answer did not cause.
    pub fn repeated(&self, receiver: &str) -> u64 {
        self.received(receiver).values().map(|copies| copies.taken.saturating_sub(1)).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
