//! A consistent copy of the store in one new file.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};

use crate::folder::create_private;
use crate::ledger::trouble::{Outcome, Trouble};

/// Copies everything as of now, in one read that does not hold up the writer. Refuses to overwrite.
///
/// Secrets stay sealed in the copy; it is of no use without the master key, which is not in it.
pub(crate) fn write(conn: &Connection, file: &Path) -> Outcome<()> {
    let failed = |what: String| Trouble::Unavailable(format!("{}: {what}", file.display()));
    create_private(file, b"").map_err(|error| failed(error.to_string()))?;
    copy(conn, file).map_err(|error| {
        let _ = std::fs::remove_file(file);
        failed(error.to_string())
    })
}

fn copy(conn: &Connection, file: &Path) -> rusqlite::Result<()> {
    let mut target = Connection::open(file)?;
    let backup = Backup::new(conn, &mut target)?;
    // All pages in one step: a backup in parts would begin again with every commit that comes between.
    match backup.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
    }
}
