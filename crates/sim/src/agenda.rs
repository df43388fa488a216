//! What will happen when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use posthaste_core::UnixMs;

/// Happenings in order of time, and of entry where times are equal.
pub struct Agenda<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    entered: u64,
}

struct Entry<T> {
    at: UnixMs,
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> Agenda<T> {
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), entered: 0 }
    }

    pub fn enter(&mut self, at: UnixMs, what: T) {
        self.entered += 1;
        self.heap.push(Reverse(Entry { at, number: self.entered, what }));
    }

    pub fn next(&mut self) -> Option<(UnixMs, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}
