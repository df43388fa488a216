//! What a process that was cut off left behind, seen to before anything is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::folder::OpenError;
use crate::ledger::schema::PAGE_BYTES;
use crate::ledger::trouble::{Outcome, Trouble};
use crate::log_file;

/// Where a journal says how many pages the database had before.
const PAGES_BEFORE: std::ops::Range<usize> = 16..20;
/// A start that is cut off while there is a journal has written no more pages than these.
const UNFINISHED_PAGES_MAX: u64 = 2;
/// How much of the log is in memory while it is written once more.
const PIECE_BYTES: usize = 256 * 1024;

/// Makes durable what a start found and goes on from: the database, and the log up to the end of its last commit. What lies
/// behind that end goes.
///
/// The database may be a copy that somebody put there a moment ago. And a process that is killed between writing a commit
/// and syncing it leaves a commit that nobody was told of and that the next process reads like any other. Whoever repeats
/// the call that made it is told that it is stored: so it has to be, also if the power fails without another commit.
///
/// What lies behind the end was never read as part of the log, but its frames look like frames of the log. Were a commit
/// torn in front of them, the log would look damaged in its midst.
///
/// Called before SQLite has the database open: its locks go with the first descriptor that is closed.
pub(super) fn make_durable(database: &Path, log_end: Option<u64>) -> Result<(), OpenError> {
    File::open(database).and_then(|file| file.sync_all()).map_err(OpenError::io(database))?;
    let Some(end) = log_end else { return Ok(()) };
    let log = log_file::log_of(database);
    cut_and_write_again(&log, end).map_err(OpenError::io(&log))
}

/// Where a sync has failed, the system has the pages in memory, holds them for written, and never writes them. So they are
/// written once more, as they are.
fn cut_and_write_again(log: &Path, end: u64) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(log)?;
    cut_file(&file, end)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let read = match file.read_at(&mut piece, at) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        match file.write_all_at(&piece[..read], at) {
            // Some file systems need room for it; a start on a full disk goes on with what is there.
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "the log was not written once more");
                break;
            }
            written => written?,
        }
        at += read as u64;
    }
    file.sync_all()
}

/// After a transaction was taken back: cuts off the frames that were written of it. They go before the next commit is
/// written, for the same reason as at a start. SQLite keeps no locks in the log, so a descriptor of it may be closed.
pub(super) fn cut_log(writer: &Connection) -> Outcome<()> {
    let Some(database) = writer.path() else { return Ok(()) };
    let page_bytes: u32 = writer.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let frames: i64 = writer.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))?;
    let end = log_file::end_of(frames.max(0).unsigned_abs(), page_bytes.into());
    let log = log_file::log_of(Path::new(database));
    let cut = File::options().write(true).open(&log).and_then(|file| match cut_file(&file, end)? {
        true => file.sync_all(),
        false => Ok(()),
    });
    match cut {
        // All that was acknowledged was synced before.
        Err(error) if is_full(&error) => tracing::warn!(%error, "the log was cut, and that was not synced"),
        Err(error) => return Err(Trouble::Unavailable(format!("{}: {error}", log.display()))),
        Ok(()) => {}
    }
    Ok(())
}

/// Answers whether there was anything behind that end.
fn cut_file(file: &File, end: u64) -> io::Result<bool> {
    let is_longer = file.metadata()?.len() > end;
    if is_longer {
        file.set_len(end)?;
    }
    Ok(is_longer)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Takes back a store that was cut off while its first page was written: its journal says that there was nothing before,
/// or only that page, in which no table fits.
/// A connection that only reads, such as the one that looks whether the file is ours, is refused until that is done.
/// SQLite takes the file back whatever it is, so a journal that cannot be the file's, such as one beside a backup that was
/// put in its place, is refused.
pub(super) fn take_back_unfinished(
    database: &Path,
    open: impl FnOnce() -> rusqlite::Result<Connection>,
) -> Result<(), OpenError> {
    let journal = beside(database, "-journal");
    if !says_there_was_no_table(&journal).map_err(OpenError::io(&journal))? {
        return Ok(());
    }
    if !may_be_unfinished(database).map_err(OpenError::io(database))? {
        let why = "it is left of a store that was cut off at its first start, and posthaste.db beside it is none that was: \
                   SQLite would empty it. Remove this file";
        return Err(OpenError::damaged(&journal, why));
    }
    let taken_back = open().and_then(|connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
    });
    taken_back.map(drop).map_err(|error| OpenError::damaged(database, error))
}

/// Is there no more of the database than a start has written by the time its journal is gone?
fn may_be_unfinished(database: &Path) -> io::Result<bool> {
    let bytes = database.metadata()?.len();
    let has_log = log_file::is_there(&log_file::log_of(database));
    Ok(bytes <= UNFINISHED_PAGES_MAX * u64::from(PAGE_BYTES) && !has_log)
}

fn says_there_was_no_table(journal: &Path) -> io::Result<bool> {
    let mut head = [0xff; PAGES_BEFORE.end];
    match File::open(journal).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) => Ok(head[PAGES_BEFORE] <= [0, 0, 0, 1][..]),
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof].contains(&error.kind()) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests;
