//! What was found damaged while the store was open: said once in the log, and kept for whoever watches.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many rows are kept by name; those beyond are in the log.
const KEPT_MAX: usize = 1_000;

/// The rows that were found damaged since the store was opened.
#[derive(Debug, Default)]
pub struct Damage {
    rows: Mutex<BTreeSet<String>>,
    count: AtomicUsize,
}

impl Damage {
    /// Notes a damaged row; `what` names the file and the row.
    pub(crate) fn note(&self, what: String) {
        let mut known = self.lock();
        if known.len() >= KEPT_MAX || known.contains(&what) {
            return;
        }
        tracing::error!(what, "damaged: it is left out, and the rest goes on");
        known.insert(what);
        self.count.store(known.len(), Ordering::Relaxed);
    }

    /// How many rows there are, counted up to a thousand.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// One of them, to show.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        self.lock().first().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
