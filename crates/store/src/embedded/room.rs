//! Whether the disk has room, for whoever takes something in, and the ballast for when it has none.
//!
//! There are three states. With plenty, everything goes. With little, nothing more is taken in, and what was taken in is
//! delivered. When even that may find no room, the ballast is given to the disk: results of attempts under way are
//! recorded and old rows go, but no attempt starts. Each state ends by itself when there is room again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::ballast::Ballast;
use crate::error::StoreError;
use crate::folder::Disk;
use crate::store::Answer;

/// How often the room left on the disk is looked at.
const LOOKED_AT_EVERY_MS: u64 = 1_000;
/// The same by the writer, while room or ballast are missing; and the files of the store.
pub(super) const SEEN_TO_EVERY: Duration = Duration::from_millis(1_000);
/// With less than this left, a transaction may not find what it needs, and the ballast goes first.
const TRANSACTION_BYTES: u64 = 256 * 1024;

/// What was last seen of the room on the disk.
pub(crate) struct Room {
    folder: PathBuf,
    began: Instant,
    /// When the disk is to be looked at again, in milliseconds after the beginning.
    look_at_ms: AtomicU64,
    is_there: AtomicBool,
    ballast: Ballast,
    has_ballast: AtomicBool,
    /// After a start the ballast may be made smaller than it should be; after it was of use it may not.
    is_fresh: AtomicBool,
}

impl Room {
    /// The room on the disk that a folder is on. Where there is little, the ballast goes, so that the store may open.
    pub fn of(folder: PathBuf) -> std::io::Result<Self> {
        let ballast = Ballast::of(&folder, &Disk::of(&folder)?);
        let room = Self {
            folder,
            began: Instant::now(),
            look_at_ms: AtomicU64::new(0),
            is_there: AtomicBool::new(true),
            has_ballast: AtomicBool::new(ballast.is_there()),
            ballast,
            is_fresh: AtomicBool::new(true),
        };
        if !room.is_there() {
            tracing::warn!("the disk is almost full: nothing more is taken in until there is room");
            room.release();
        }
        Ok(room)
    }

    /// Takes nothing more in shortly before the disk is full, so that what was taken in can be finished.
    pub fn refuse_without(&self) -> Answer<()> {
        if self.is_there() { Ok(()) } else { Err(StoreError::StorageFull) }
    }

    /// The same for those who watch.
    pub fn for_events(&self) -> Result<(), String> {
        if self.is_there() {
            return Ok(());
        }
        Err("storage_full: the disk is almost full, and new events are refused until there is room"
            .to_owned())
    }

    /// Is there room to take something in, as of a second ago at most?
    pub fn is_there(&self) -> bool {
        if self.passed_ms() >= self.look_at_ms.load(Ordering::Relaxed) {
            let is_there = self.disk().is_none_or(|disk| disk.has_room());
            self.note(is_there);
        }
        posthaste_faults::bug("full-disk-unnoticed") || self.is_there.load(Ordering::Relaxed)
    }

    /// Is there room for the results of attempts that are not yet under way?
    pub fn for_results(&self) -> Result<(), String> {
        if self.has_ballast.load(Ordering::Relaxed) || self.is_there() {
            return Ok(());
        }
        Err("storage_full: the disk is full, nothing is taken in and no attempt starts until there is room"
            .to_owned())
    }

    /// Is there room, and the ballast where it belongs?
    pub fn is_in_order(&self) -> bool {
        self.has_ballast.load(Ordering::Relaxed) && self.is_there()
    }

    /// Before a transaction: sees to it that it finds room, if need be at the cost of the ballast.
    pub fn make_way(&self) {
        if self.is_there() || !self.has_ballast.load(Ordering::Relaxed) {
            return;
        }
        let needed = TRANSACTION_BYTES.min(self.ballast.bytes() / 2);
        if self.disk().is_some_and(|disk| disk.left < needed) {
            self.run_out();
        }
    }

    /// A transaction found no room, or the next one may not.
    pub fn run_out(&self) {
        self.note(false);
        self.is_fresh.store(false, Ordering::Relaxed);
        self.release();
    }

    fn note(&self, is_there: bool) {
        self.is_there.store(is_there, Ordering::Relaxed);
        self.look_at_ms.store(self.passed_ms() + LOOKED_AT_EVERY_MS, Ordering::Relaxed);
    }

    fn passed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn release(&self) {
        if self.has_ballast.swap(false, Ordering::Relaxed) {
            tracing::error!("the disk is full: the ballast goes, and no attempt starts until there is room");
        }
        if let Err(error) = self.ballast.release() {
            tracing::warn!(%error, "the ballast cannot be given to the disk");
        }
    }

    /// Makes the ballast again if it fits beside the room that there has to be.
    pub fn restore_ballast(&self) {
        if self.has_ballast.load(Ordering::Relaxed) {
            return;
        }
        let fits = self.disk().is_some_and(|disk| disk.left_after(self.ballast.bytes()).has_room());
        let made = match (fits, self.is_fresh.load(Ordering::Relaxed)) {
            (true, _) => self.ballast.make(),
            (false, true) => self.ballast.make_of_what_is_left(),
            (false, false) => return,
        };
        // Where it cannot be made the disk is too full, or of a kind that keeps no room: it is tried again.
        self.has_ballast.store(made.is_ok(), Ordering::Relaxed);
        if made.is_ok() && !self.is_fresh.swap(true, Ordering::Relaxed) {
            tracing::info!("there is room on the disk again");
        }
    }

    fn disk(&self) -> Option<Disk> {
        let disk = Disk::of(&self.folder);
        disk.inspect_err(|error| tracing::warn!(%error, "the room left on the disk is unknown")).ok()
    }
}
