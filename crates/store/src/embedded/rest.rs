//! The rest that a disk without room gets from what is tried again and again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// For how long nothing is written back after that found no room: each try syncs the log and writes all of it again.
const LASTS: Duration = Duration::from_secs(1);

/// How it went to write the log back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// Nothing was in the way.
    Well,
    /// Another one was at it, or somebody read.
    Busy,
    /// The log keeps what has no room in the file.
    NoRoom,
}

/// When it may be tried again to write back, for all who do it.
///
/// It goes by what was tried and not by the room that is seen: a disk may show room and have none for a file.
pub(super) struct Rest {
    began: Instant,
    lasts: Duration,
    is_full: AtomicBool,
    /// Until when nothing is tried while it is full, in milliseconds after the beginning.
    until_ms: AtomicU64,
}

impl Default for Rest {
    fn default() -> Self {
        Self::of(LASTS)
    }
}

impl Rest {
    pub fn of(lasts: Duration) -> Self {
        let (is_full, until_ms) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { began: Instant::now(), lasts, is_full, until_ms }
    }

    /// May it be tried now?
    pub fn is_over(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
            || self.began.elapsed() >= Duration::from_millis(self.until_ms.load(Ordering::Relaxed))
    }

    /// Notes how a try went. It is told once, until one goes well.
    pub fn heed(&self, went: Went) {
        match went {
            Went::Busy => {}
            Went::Well => self.is_full.store(false, Ordering::Relaxed),
            Went::NoRoom => {
                let until = self.began.elapsed().saturating_add(self.lasts).as_millis();
                self.until_ms.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
                if !self.is_full.swap(true, Ordering::Relaxed) {
                    tracing::warn!("the log could not be written back: the disk is full; it is tried again");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_disk_is_given_a_rest_and_only_until_it_has_room() {
        let hour = Duration::from_hours(1);
        for (lasts, went, is_over) in [
            (hour, &[][..], true),
            (hour, &[Went::Well], true),
            (hour, &[Went::Busy], true),
            (hour, &[Went::NoRoom], false),
            (hour, &[Went::NoRoom, Went::Busy], false),
            (hour, &[Went::NoRoom, Went::Well], true),
            (hour, &[Went::NoRoom, Went::Well, Went::NoRoom], false),
            (Duration::ZERO, &[Went::NoRoom], true),
        ] {
            let rest = Rest::of(lasts);
            went.iter().for_each(|went| rest.heed(*went));
            assert_eq!(rest.is_over(), is_over, "{lasts:?} {went:?}");
        }
    }
}
