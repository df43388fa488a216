//! What a process that was cut off left behind, seen to before anything is read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::folder::{OpenError, sync_folder};
use crate::ledger::schema::PAGE_BYTES;
use crate::log_file;

/// Where a journal says how many pages the database had before.
const PAGES_BEFORE: std::ops::Range<usize> = 16..20;
/// A start that is cut off while there is a journal has written no more pages than these.
const UNFINISHED_PAGES_MAX: u64 = 2;

/// Makes durable what is in the log, and its name.
///
/// A process that is killed between writing a commit and syncing it leaves a commit that nobody was told of and that the
/// next process reads like any other. Whoever repeats the call that made it is told that it is stored: so it has to be,
/// also if the power fails without another commit.
pub(super) fn sync_log(database: &Path) -> Result<(), OpenError> {
    let log = log_file::log_of(database);
    match File::open(&log) {
        Ok(file) => file.sync_all().map_err(OpenError::io(&log))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenError::io(&log)(error)),
    }
    let folder = database.parent().unwrap_or(Path::new("."));
    sync_folder(folder).map_err(OpenError::io(folder))
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
