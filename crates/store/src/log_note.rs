//! A note, beside the lock, of how far the log was when something was acknowledged last.
//!
//! A log that is removed, emptied or cut where a commit ends looks like one of a store that wrote less. The note tells,
//! after a process that was killed: it is written into the system's memory alone, once the log is synced, and is legible
//! only until the machine starts again. After a power failure an older note may be on the disk, and a log in good order
//! may be gone or another one since.
//!
//! That may be so without a power failure as well: who empties a log or begins it anew took all of it into the database
//! before. So the note also tells what the last page of the log was, and a database that has that page has what was noted.
//! Whoever commits and notes nothing takes the note back before: a start, and the orderly end.
//!
//! A database that was put back from a backup is a copy and says so; nothing of the log before is its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::folder::{Folder, LOCK_FILE, OpenError};
use crate::ledger::trouble::DATABASE_FILE;
use crate::log_file::{self, Frame, Salts};

/// What the system calls the time since the machine was started: another one each time.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Where the note lies in the file of the lock.
const AT: u64 = 64;
const SALTS_BYTES: usize = 8;
const END_BYTES: usize = 8;
const CLAIM_BYTES: usize = SALTS_BYTES + END_BYTES + 4 + 4;
const NOTE_BYTES: usize = CLAIM_BYTES + 4;

/// What is claimed of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    salts: Salts,
    /// Where its last commit ends, in bytes from the beginning.
    end: u64,
    /// The page that was written last.
    page_number: u32,
    /// Its CRC-32.
    page_sum: u32,
}

/// The note of an open store.
pub(crate) struct LogNote {
    lock: File,
    log: File,
    page_bytes: u64,
    /// The last frame of the log.
    frame: Frame,
    /// `None` where the system does not tell: then nothing is noted.
    boot_id: Option<Vec<u8>>,
    last: Option<Claim>,
}

impl LogNote {
    /// For the log that SQLite has open.
    pub fn of(folder: &Folder, writer: &Connection) -> Result<Self, OpenError> {
        let page_bytes = writer.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0));
        let page_bytes = page_bytes.map_err(|error| OpenError::damaged(&folder.database(), error))?;
        let lock = folder.lock().try_clone().map_err(OpenError::io(folder.path()))?;
        let log = log_file::log_of(&folder.database());
        // SQLite keeps no locks in the log, so a descriptor of it may be closed.
        let log = File::open(&log).map_err(OpenError::io(&log))?;
        let (frame, boot_id) = (Frame::of(page_bytes as usize), boot_id());
        Ok(Self { lock, log, page_bytes: page_bytes.into(), frame, boot_id, last: None })
    }

    /// Notes that so many pages of the log are synced. What cannot be noted is not claimed.
    pub fn write(&mut self, pages: i64) {
        if pages <= 0 {
            return;
        }
        if let Err(error) = self.try_to_write(log_file::end_of(pages.unsigned_abs(), self.page_bytes)) {
            tracing::debug!(%error, "how far the log is was not noted");
            self.clear();
        }
    }

    fn try_to_write(&mut self, end: u64) -> io::Result<()> {
        let Some(boot_id) = &self.boot_id else { return Ok(()) };
        self.frame.read(&self.log, end)?;
        let claim = Claim {
            salts: self.frame.salts(),
            end,
            page_number: self.frame.page_number(),
            page_sum: crc32fast::hash(self.frame.page()),
        };
        if self.last != Some(claim) {
            self.lock.write_all_at(&claim.sealed(boot_id), AT)?;
            self.last = Some(claim);
        }
        Ok(())
    }

    /// Takes it back.
    pub fn clear(&mut self) {
        self.last = None;
        clear(&self.lock);
    }
}

/// Takes back what is noted in the file of the lock, for good: a disk that is lost to a machine that goes on loses what is
/// in its memory.
pub(crate) fn clear(lock: &File) {
    let is_noted = lock.metadata().is_ok_and(|lock| lock.len() > AT);
    if is_noted && let Err(error) = lock.set_len(AT).and_then(|()| lock.sync_all()) {
        tracing::warn!(%error, "how far the log was is still noted");
    }
}

fn boot_id() -> Option<Vec<u8>> {
    let boot_id = std::fs::read(BOOT_ID);
    boot_id.inspect_err(|error| tracing::info!(%error, "{BOOT_ID}: a log that is lost is not missed")).ok()
}

/// The first number of the salts counts up with each log that is begun in the same file. Another file has others by chance.
fn is_later(found: Salts, noted: Salts) -> bool {
    const LOGS_MAX: u32 = 1 << 16;
    let count = |[a, b, c, d, ..]: Salts| u32::from_be_bytes([a, b, c, d]);
    (1..LOGS_MAX).contains(&count(found).wrapping_sub(count(noted)))
}

/// What a log lacks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// In words, with what to do.
    pub why: String,
    /// Is it the log that was noted, and not that of a store before this one?
    pub is_own: bool,
}

impl Claim {
    /// What is noted beside a database, if it was since the machine was started.
    pub fn of(database: &Path) -> Option<Self> {
        let is_of_store = database.file_name().is_some_and(|name| name == DATABASE_FILE);
        let mut note = [0; NOTE_BYTES];
        let lock = is_of_store.then(|| File::open(database.with_file_name(LOCK_FILE)))?.ok()?;
        lock.read_exact_at(&mut note, AT).ok()?;
        Self::opened(&note, &boot_id()?)
    }

    /// What is missing of the log beside the database, whose last commit ends there. Whoever asks has no connection to the
    /// database: SQLite's locks on it would be gone.
    pub fn missing(&self, database: &Path, log_end: Option<u64>) -> Option<Missing> {
        let found = log_file::salts(&log_file::log_of(database));
        let mut is_own = false;
        let what = match found.zip(log_end) {
            Some((found, end)) if found == self.salts && end >= self.end => return None,
            // What it has of pages may be older than what the database has of them.
            Some((found, end)) if found == self.salts && end > log_file::end_of(0, 0) => {
                is_own = true;
                format!("{} bytes at its end are missing or damaged", self.end - end)
            }
            Some((found, _)) if is_later(found, self.salts) => return None,
            Some((found, _)) if found != self.salts => "it is not the one that was written last".to_owned(),
            _ if self.is_in(database) => return None,
            _ => "it is gone or empty".to_owned(),
        };
        let why = format!(
            "{what}. What was acknowledged last was in it: put it back. If another program took it into the database, or \
             a copy of the database was put there, or to go on without it, remove {LOCK_FILE} beside it"
        );
        Some(Missing { why, is_own })
    }

    /// Does the database, as it lies there, have the page that was written last?
    fn is_in(&self, database: &Path) -> bool {
        /// Where the size of a page stands; 1 is 65,536. <https://sqlite.org/fileformat2.html#page_size>
        const PAGE_SIZE_AT: u64 = 16;
        let page = || {
            let database = File::open(database)?;
            let mut size = [0; 2];
            database.read_exact_at(&mut size, PAGE_SIZE_AT)?;
            let bytes = match u16::from_be_bytes(size) {
                1 => 65_536,
                bytes => u64::from(bytes),
            };
            let mut page = vec![0; bytes as usize];
            database.read_exact_at(&mut page, u64::from(self.page_number.saturating_sub(1)) * bytes)?;
            io::Result::Ok(page)
        };
        page().is_ok_and(|page| crc32fast::hash(&page) == self.page_sum)
    }

    fn sealed(&self, boot_id: &[u8]) -> [u8; NOTE_BYTES] {
        let mut note = [0; NOTE_BYTES];
        note[..SALTS_BYTES].copy_from_slice(&self.salts);
        note[SALTS_BYTES..][..END_BYTES].copy_from_slice(&self.end.to_be_bytes());
        note[SALTS_BYTES + END_BYTES..][..4].copy_from_slice(&self.page_number.to_be_bytes());
        note[CLAIM_BYTES - 4..CLAIM_BYTES].copy_from_slice(&self.page_sum.to_be_bytes());
        let mut sum = crc32fast::Hasher::new();
        sum.update(&note[..CLAIM_BYTES]);
        sum.update(boot_id);
        note[CLAIM_BYTES..].copy_from_slice(&sum.finalize().to_be_bytes());
        note
    }

    /// `None` if nothing is noted, or not legibly.
    fn opened(note: &[u8; NOTE_BYTES], boot_id: &[u8]) -> Option<Self> {
        let claim = Self {
            salts: *note.first_chunk()?,
            end: u64::from_be_bytes(*note[SALTS_BYTES..].first_chunk()?),
            page_number: u32::from_be_bytes(*note[SALTS_BYTES + END_BYTES..].first_chunk()?),
            page_sum: u32::from_be_bytes(*note[CLAIM_BYTES - 4..].first_chunk()?),
        };
        (claim.sealed(boot_id) == *note).then_some(claim)
    }
}

#[cfg(test)]
mod tests;
