//! What was found damaged while the store was open: said in the log, and kept for whoever watches.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many rows are kept by name, and told once each.
const KEPT_MAX: usize = 1_000;
/// Of those beyond, which may be told again and again, the log gets one in so long.
const BEYOND_TOLD_EVERY: Duration = Duration::from_secs(1);

/// The rows that were found damaged since the store was opened.
#[derive(Debug, Default)]
pub struct Damage {
    rows: Mutex<Rows>,
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Rows {
    kept: BTreeSet<String>,
    /// When one beyond those was last told.
    beyond_told: Option<Instant>,
}

impl Rows {
    /// Takes a row in as far as there is room. Answers whether it is to be told.
    fn take(&mut self, what: &str, now: Instant) -> bool {
        if self.kept.contains(what) {
            return false;
        }
        if self.kept.len() < KEPT_MAX {
            return self.kept.insert(what.to_owned());
        }
        let is_due = self.beyond_told.is_none_or(|told| now.duration_since(told) >= BEYOND_TOLD_EVERY);
        if is_due {
            self.beyond_told = Some(now);
        }
        is_due
    }
}

impl Damage {
    /// Notes a damaged row; `what` names the file and the row.
    pub(crate) fn note(&self, what: String) {
        let mut rows = self.lock();
        if rows.take(&what, Instant::now()) {
            self.count.store(rows.kept.len(), Ordering::Relaxed);
            drop(rows);
            tracing::error!(what, "damaged: it is left out, and the rest goes on");
        }
    }

    /// How many rows there are, counted up to a thousand.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// One of them, to show.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        self.lock().kept.first().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_beyond_what_is_kept_is_still_told() {
        let (mut rows, begin) = (Rows::default(), Instant::now());
        let told = |rows: &mut Rows, number: usize, now| rows.take(&format!("row {number}"), now);
        for number in 0..KEPT_MAX {
            assert!(told(&mut rows, number, begin));
            assert!(!told(&mut rows, number, begin), "once");
        }
        assert!(told(&mut rows, KEPT_MAX, begin));
        assert!(!told(&mut rows, KEPT_MAX + 1, begin), "not faster than that");
        assert!(told(&mut rows, KEPT_MAX + 2, begin + BEYOND_TOLD_EVERY));
        assert_eq!(rows.kept.len(), KEPT_MAX);
    }
}
