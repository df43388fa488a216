//! A consistent copy of the store in one new file.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use posthaste_core::UnixMs;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::StoreError;
use crate::folder::{create_private, sync_folder};
use crate::ledger::trouble::{Outcome, Trouble};
use crate::ledger::{horizon, restored};

/// Copies everything as of now, in one read that does not hold up the writer. Refuses to overwrite. The file gets its
/// name when all of it is on the disk: what is cut off leaves a file with `.part` behind its name, or none.
///
/// Secrets stay sealed in the copy; it is of no use without the master key, which is not in it.
pub(crate) fn write(conn: &Connection, file: &Path, now: UnixMs) -> Outcome<()> {
    let failed = |what: String| {
        Trouble::Unavailable(format!("the backup {} could not be written: {what}", file.display()))
    };
    if file.symlink_metadata().is_ok() {
        return Err(failed("it is there already".to_owned()));
    }
    let part = match posthaste_faults::bug("backup-not-atomic") {
        true => file.to_owned(),
        false => part_of(file),
    };
    let made = begin(&part).map_err(|error| failed(error.to_string())).and_then(|()| {
        posthaste_faults::point("store.backup-begun");
        copy(conn, &part, now).map_err(|trouble| failed(StoreError::from(trouble).to_string()))?;
        posthaste_faults::point("store.backup-copied");
        publish(&part, file).map_err(|error| failed(error.to_string()))
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    made
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".part");
    name.into()
}

/// Makes the empty file; what is left there of a backup that was cut off goes.
fn begin(part: &Path) -> io::Result<()> {
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => create_private(part, b""),
    }
}

fn copy(conn: &Connection, part: &Path, now: UnixMs) -> Outcome<()> {
    let mut target = Connection::open(part)?;
    // Nobody else reads it, and what a crash leaves of it is thrown away.
    target.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    let backup = Backup::new(conn, &mut target)?;
    // All pages in one step: a backup in parts would begin again with every commit that comes between.
    let step = backup.step(-1)?;
    drop(backup);
    if !matches!(step, StepResult::Done) {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None).into());
    }
    // One file, without a log beside it, that also opens where nothing can be written.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    target.execute_batch("BEGIN IMMEDIATE")?;
    horizon::set_copy_apart(&target)?;
    restored::mark(&target, now)?;
    target.execute_batch("COMMIT")?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Gives the copy its name, once all of it is on the disk.
fn publish(part: &Path, file: &Path) -> io::Result<()> {
    if part == file {
        return Ok(());
    }
    File::open(part)?.sync_all()?;
    match renameat_with(CWD, part, CWD, file, RenameFlags::NOREPLACE) {
        // Not every file system can; that nothing is there was looked at before.
        Err(Errno::INVAL | Errno::NOSYS) => std::fs::rename(part, file)?,
        renamed => renamed?,
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}
