//! The log's pages go back into the database file on a thread of their own.
//!
//! Left to itself SQLite does that inside a commit, and whoever waits for the writer waits for a thousand pages and a
//! sync more. Here the writer only asks for it. While it goes on appending, the thread never quite reaches the log's end;
//! so once the log is long the writer takes the last few pages itself, and from then on the log is written from its
//! beginning again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::opening;
use super::rest::{Rest, Went};
use super::status::Status;
use crate::folder::OpenError;
use crate::ledger::Ledger;
use crate::ledger::reseal::ORDINARY_PATIENCE;
use crate::ledger::trouble::Outcome;
use crate::log_file;

/// The thread is asked when so many pages are to go back.
const ASKED_FROM_PAGES: i64 = 1_000;
/// From this length on the log is to be brought to its end. Its file keeps what it has, so it is well below what is kept.
const LONG_PAGES: i64 = 4_000;
/// How many pages the writer takes itself then.
const LAST_PAGES_MAX: i64 = 100;
/// From this length on the writer takes any number of pages itself: the thread does not keep up.
const LOG_PAGES_MAX: i64 = 16_000;
/// A disk that has little room gets what is beyond this of the log's file.
const SHORT_BYTES: u64 = 1024 * 1024;

/// The thread, as the writer has it.
pub(crate) struct WriteBack {
    asks: Option<SyncSender<()>>,
    log: PathBuf,
    /// How many pages the log had at the last look.
    pages: i64,
    /// The length as it was measured since then.
    measured: Option<(i64, i64)>,
    rest: Arc<Rest>,
    thread: Option<JoinHandle<()>>,
}

impl WriteBack {
    /// Starts the thread.
    pub fn start(file: &Path, status: Arc<Status>) -> Result<Self, OpenError> {
        let connection = opening::open_write_back(file).map_err(|error| OpenError::damaged(file, error))?;
        let (asks, asked) = sync_channel(1);
        let rest = Arc::<Rest>::default();
        let for_thread = rest.clone();
        let thread = std::thread::Builder::new()
            .name("posthaste-log".to_owned())
            .spawn(move || run(&connection, &asked, &for_thread, &status))
            .map_err(OpenError::io(file))?;
        Ok(Self {
            asks: Some(asks),
            log: log_file::log_of(file),
            pages: 0,
            measured: None,
            rest,
            thread: Some(thread),
        })
    }

    /// How many pages the log has after a commit of the writer.
    pub fn measure(&mut self, writer: &Connection) -> Outcome<i64> {
        let length = length(writer)?;
        self.measured = Some(length);
        Ok(length.0)
    }

    /// Sees to the log after a commit of the writer. Answers whether the log was begun anew since the last look.
    pub fn look(&mut self, writer: &Connection) -> Outcome<bool> {
        let (pages, left) = match self.measured.take() {
            Some(length) => length,
            None => length(writer)?,
        };
        let is_anew = pages < std::mem::replace(&mut self.pages, pages);
        if !self.rest.is_over() {
            return Ok(is_anew);
        }
        let is_long = pages >= LONG_PAGES;
        let is_at_its_end = is_long && left <= LAST_PAGES_MAX;
        if is_at_its_end || (pages >= LOG_PAGES_MAX && left >= ASKED_FROM_PAGES) {
            self.rest.heed(write_back(writer)?);
        } else if left >= if is_long { LAST_PAGES_MAX } else { ASKED_FROM_PAGES } {
            // It may have been asked already.
            let _ = self.asks.as_ref().map(|asks| asks.try_send(()));
        }
        Ok(is_anew)
    }

    /// Gives the room of a long log back to a disk that has little, and answers whether it is empty now. Whoever reads
    /// may be in the way; then it stays.
    pub fn shorten(&mut self, writer: &Connection) -> rusqlite::Result<bool> {
        if !self.rest.is_over() || self.log.metadata().is_ok_and(|log| log.len() <= SHORT_BYTES) {
            return Ok(false);
        }
        writer.busy_timeout(Duration::ZERO)?;
        let went = checkpoint(writer, TO_ITS_END);
        writer.busy_timeout(ORDINARY_PATIENCE)?;
        let went = went?;
        self.rest.heed(went);
        if went == Went::Well {
            self.was_emptied();
        }
        Ok(went == Went::Well)
    }

    /// How many pages the log had at the last look.
    pub fn pages(&self) -> i64 {
        self.pages
    }

    /// The log has no pages: what comes next is no second beginning.
    pub fn was_emptied(&mut self) {
        self.pages = 0;
    }
}

impl Drop for WriteBack {
    fn drop(&mut self) {
        self.asks = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// At a start, when nobody reads yet: what is written next needs no more room in the log than it had.
pub(super) fn begin_log_anew(ledger: &mut Ledger) -> Outcome<()> {
    if empty(ledger.conn())? {
        ledger.number_log();
    }
    Ok(())
}

/// Brings the log to its end and empties it, and answers whether that could be done: readers may be in the way.
pub(super) fn empty(writer: &Connection) -> rusqlite::Result<bool> {
    let went = checkpoint(writer, TO_ITS_END)?;
    if went == Went::NoRoom {
        tracing::warn!("the log could not be written back: the disk is full");
    }
    Ok(went == Went::Well)
}

fn run(connection: &Connection, asked: &Receiver<()>, rest: &Rest, status: &Status) {
    while asked.recv().is_ok() && status.health().is_ok() {
        posthaste_faults::point("store.before-write-back");
        match write_back(connection) {
            Ok(went) => {
                rest.heed(went);
                posthaste_faults::point("store.after-write-back");
            }
            Err(error) if posthaste_faults::bug("write-back-failure-ignored") => {
                tracing::error!(%error, "the log could not be written back");
            }
            // Nobody may ask the writer for anything for a long time: all must hear of it at once.
            Err(error) => return status.fail(&format!("the log could not be written back: {error}")),
        }
    }
}

const AS_FAR_AS_IT_GOES: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const TO_ITS_END: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Takes what is there and waits for nobody.
fn write_back(connection: &Connection) -> rusqlite::Result<Went> {
    checkpoint(connection, AS_FAR_AS_IT_GOES)
}

/// Another one at it, or a reader in the way, is no fault; nor that the log has to keep what has no room in the file.
fn checkpoint(connection: &Connection, how: &str) -> rusqlite::Result<Went> {
    match connection.prepare_cached(how)?.query_row([], |row| row.get::<_, i64>(0)) {
        Ok(0) => Ok(Went::Well),
        Ok(_) => Ok(Went::Busy),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Ok(Went::NoRoom),
            Some(ErrorCode::DatabaseBusy) => Ok(Went::Busy),
            _ => Err(error),
        },
    }
}

/// How many pages the log has.
pub(super) fn pages_of(connection: &Connection) -> rusqlite::Result<i64> {
    length(connection).map(|(pages, _)| pages)
}

/// How many pages the log has, and how many of them have still to go back.
fn length(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
    statement.query_row([], |row| {
        let (pages, done): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok((pages, pages - done))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthaste_core::{Seq, UnixMs};
    use tempfile::TempDir;

    use super::*;
    use crate::change::RecordBatch;
    use crate::folder::Folder;
    use crate::ledger::read_seq;
    use crate::sealing::MasterKey;

    const KEY: [u8; 32] = [1; 32];

    fn ledger(dir: &Path) -> Ledger {
        let folder = Folder::open(dir).unwrap();
        opening::open(&folder, &MasterKey::from_bytes(KEY).into(), UnixMs(0)).unwrap().ledger
    }

    /// A ledger and what looks at its log, as the writer has them.
    struct Writing {
        dir: TempDir,
        ledger: Ledger,
        back: WriteBack,
    }

    impl Writing {
        fn begin() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let ledger = ledger(dir.path());
            let file = Folder::open(dir.path()).unwrap().database();
            let back = WriteBack::start(&file, Arc::default()).unwrap();
            Self { dir, ledger, back }
        }

        /// One commit that moves the checkpoint on, and the look at the log after it.
        fn commit(&mut self, checkpoint: i64) {
            self.ledger.begin().unwrap();
            let batch = RecordBatch { checkpoint: Some(Seq(checkpoint)), ..RecordBatch::default() };
            self.ledger.record(&batch).unwrap();
            self.ledger.commit().unwrap();
            let is_anew = self.back.look(self.ledger.conn()).unwrap();
            self.ledger.look_at_log(is_anew);
        }

        /// Opens what a kill leaves now; answers how far the checkpoint is there.
        fn after_a_kill(&self) -> i64 {
            let image = tempfile::tempdir().unwrap();
            for name in ["posthaste.db", "posthaste.db-wal"] {
                std::fs::copy(self.dir.path().join(name), image.path().join(name)).unwrap();
            }
            let ledger = ledger(image.path());
            read_seq(ledger.conn(), "checkpoint").unwrap().0
        }
    }

    /// The commit that begins a log moves the checkpoint on, which the file does not know of then.
    #[test]
    fn a_kill_soon_after_the_log_was_begun_anew_leaves_a_store_that_opens() {
        let mut writing = Writing::begin();
        let mut checkpoint = 0;
        let mut next = || {
            checkpoint += 1;
            checkpoint
        };
        // Numbered by the writer when it sees it, or at once by whoever emptied it; the second log is shorter than what
        // was looked at before.
        for is_told in [false, true, false, true] {
            for _ in 0..20 {
                writing.commit(next());
            }
            assert!(empty(writing.ledger.conn()).unwrap());
            if is_told {
                writing.back.was_emptied();
                writing.ledger.number_log();
            }
            for _ in 0..4 {
                let at = next();
                writing.commit(at);
                assert_eq!(writing.after_a_kill(), at);
            }
        }
    }

    #[test]
    fn the_log_of_a_busy_writer_stays_short() {
        let Writing { dir: _dir, ledger, mut back } = Writing::begin();
        let writer = ledger.into_conn();
        writer.execute_batch("CREATE TABLE filling (bytes BLOB)").unwrap();
        let mut longest = 0;
        for _ in 0..2_000 {
            writer.execute_batch("INSERT INTO filling VALUES (randomblob(80000))").unwrap();
            back.look(&writer).unwrap();
            longest = longest.max(length(&writer).unwrap().0);
        }
        assert!(longest >= ASKED_FROM_PAGES, "nothing was left to the thread: {longest}");
        assert!(longest < LOG_PAGES_MAX + 1_000, "the log grows without end: {longest}");
    }

    #[test]
    fn a_disk_that_had_no_room_is_not_tried_before_its_rest_is_over() {
        for (lasts, is_tried) in [(Duration::from_hours(1), false), (Duration::ZERO, true)] {
            let Writing { dir: _dir, ledger, mut back } = Writing::begin();
            let writer = ledger.into_conn();
            let pages = 2 * ASKED_FROM_PAGES;
            writer.execute_batch("CREATE TABLE filling (bytes BLOB)").unwrap();
            writer.execute("INSERT INTO filling VALUES (zeroblob(?1 * 4096))", [pages]).unwrap();
            back.rest = Arc::new(Rest::of(lasts));
            back.rest.heed(Went::NoRoom);
            assert_eq!(back.shorten(&writer).unwrap(), is_tried);
            back.rest.heed(Went::NoRoom);
            writer.execute("INSERT INTO filling VALUES (zeroblob(?1 * 4096))", [pages]).unwrap();
            back.look(&writer).unwrap();
            // The thread ends after all that it was asked for.
            drop(back);
            assert_eq!(length(&writer).unwrap().1 == 0, is_tried);
        }
    }
}
