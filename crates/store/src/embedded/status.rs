//! What everybody may know of the writer: whether it takes writes, how it gets on, and what holds a rotation up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::store::Progress;

/// What a rotation waits for, if somebody should see to it.
#[derive(Clone, Default)]
pub(crate) struct Hindrance {
    /// How many secrets under the former key do not open.
    pub unopened: u64,
    pub what: Option<String>,
}

/// Whether the store takes writes, for all who ask.
#[derive(Default)]
pub(crate) struct Status {
    ended: Mutex<Option<Ended>>,
    commits: AtomicU64,
    /// How often the writer went to work, and how often it was done with it.
    pub(super) rounds: [AtomicU64; 2],
    hindrance: Mutex<Hindrance>,
}

#[derive(Clone)]
enum Ended {
    Closed,
    Failed(String),
}

impl Status {
    /// How many transactions were committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub fn health(&self) -> Result<(), String> {
        match &*self.lock() {
            None => Ok(()),
            Some(Ended::Closed) => Err("the store is closed".to_owned()),
            Some(Ended::Failed(why)) => Err(why.clone()),
        }
    }

    /// Why it stopped, if it failed.
    pub fn failure(&self) -> Option<String> {
        match &*self.lock() {
            Some(Ended::Failed(why)) => Some(why.clone()),
            Some(Ended::Closed) | None => None,
        }
    }

    pub fn progress(&self, is_waited_for: bool) -> Progress {
        let [begun, done] = self.rounds.each_ref().map(|rounds| rounds.load(Ordering::Relaxed));
        Progress { rounds: done, is_busy: is_waited_for || begun > done }
    }

    /// What a caller hears whose command the writer did not answer.
    pub fn error(&self) -> StoreError {
        match &*self.lock() {
            Some(Ended::Failed(why)) => StoreError::Failed(why.clone()),
            Some(Ended::Closed) => StoreError::Unavailable("the store is closed".to_owned()),
            // It goes on, without what it was asked for.
            None => StoreError::StorageFull,
        }
    }

    /// If this thread panics before the answer is dropped, the store failed.
    pub fn fail_at_a_panic(self: &Arc<Self>) -> FailAtAPanic {
        FailAtAPanic(self.clone())
    }

    /// The store takes nothing any more. The first failure is the one that is told.
    pub fn fail(&self, why: &str) {
        let mut ended = self.lock();
        if !matches!(*ended, Some(Ended::Failed(_))) {
            tracing::error!(why, "the store failed and stops");
            *ended = Some(Ended::Failed(why.to_owned()));
        }
    }

    /// A failure stays one.
    pub fn close(&self) {
        self.lock().get_or_insert(Ended::Closed);
    }

    /// What a rotation waits for.
    pub fn hindrance(&self) -> Hindrance {
        self.hindrance.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn hinder(&self, hindrance: Hindrance) {
        *self.hindrance.lock().unwrap_or_else(PoisonError::into_inner) = hindrance;
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Status::fail_at_a_panic`].
pub(crate) struct FailAtAPanic(Arc<Status>);

impl Drop for FailAtAPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the writer met a fault of ours");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_that_callers_hear_of() {
        let status = Arc::new(Status::default());
        drop(status.fail_at_a_panic());
        assert_eq!(status.health(), Ok(()));
        let own = status.clone();
        let ended = std::thread::spawn(move || {
            let _fault = own.fail_at_a_panic();
            panic!("on purpose");
        });
        assert!(ended.join().is_err());
        assert!(matches!(status.error(), StoreError::Failed(_)), "nobody is told that nothing was stored");
    }
}
