//! Whether the disk has room, for whoever takes something in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use posthaste_core::Clock;

use crate::error::StoreError;
use crate::folder;
use crate::store::Answer;

/// How often the room left on the disk is looked at.
const LOOKED_AT_EVERY_MS: i64 = 1_000;

/// What was last seen of the room on the disk.
pub(crate) struct Room {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    looked_at_ms: AtomicI64,
    is_there: AtomicBool,
}

impl Room {
    /// The room on the disk that a folder is on.
    pub fn of(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { folder, clock, looked_at_ms: AtomicI64::new(i64::MIN), is_there: AtomicBool::new(true) }
    }

    /// Takes nothing more in shortly before the disk is full, so that what was taken in can be finished.
    pub fn refuse_without(&self) -> Answer<()> {
        if self.is_there() {
            return Ok(());
        }
        Err(StoreError::Unavailable("the disk is almost full".to_owned()))
    }

    /// Is there room, as of a second ago at most?
    pub fn is_there(&self) -> bool {
        let now = self.clock.now().0;
        let looked_at = self.looked_at_ms.load(Ordering::Relaxed);
        if now.abs_diff(looked_at) >= LOOKED_AT_EVERY_MS.unsigned_abs() {
            let is_there = folder::has_room(&self.folder).unwrap_or_else(|error| {
                tracing::warn!(%error, "the room left on the disk is unknown");
                true
            });
            self.is_there.store(is_there, Ordering::Relaxed);
            self.looked_at_ms.store(now, Ordering::Relaxed);
        }
        self.is_there.load(Ordering::Relaxed)
    }
}
