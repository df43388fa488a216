//! A consistent copy of the store in one new file.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use posthaste_core::UnixMs;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::StoreError;
use crate::folder::{beside, create_private, private, sync_folder};
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
    let _alone = Alone::at(beside(file, ".part-lock")).map_err(|error| failed(error.to_string()))?;
    let part = match posthaste_faults::bug("backup-not-atomic") {
        true => file.to_owned(),
        false => beside(file, ".part"),
    };
    let made = begin(&part).map_err(|error| failed(error.to_string())).and_then(|()| {
        posthaste_faults::point("store.backup-begun");
        copy(conn, &part, now).map_err(|trouble| failed(StoreError::from(trouble).to_string()))?;
        posthaste_faults::point("store.backup-copied");
        publish(&part, file).map_err(|error| failed(error.to_string()))
    });
    if made.is_err() {
        [beside(&part, "-journal"), part].iter().for_each(|left| drop(std::fs::remove_file(left)));
    }
    made
}

/// Makes the empty file; what is left there of a backup that was cut off goes.
fn begin(part: &Path) -> io::Result<()> {
    for left in [part, &beside(part, "-journal")] {
        match std::fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    create_private(part, b"")
}

/// Keeps others from writing a backup with the same name meanwhile: a locked file beside it. The copy itself cannot be
/// locked, where a file system takes all kinds of locks for one: it would be locked for SQLite too.
struct Alone {
    path: PathBuf,
    lock: File,
}

impl Alone {
    /// `None` where the file system has no locks, or the file is one that is not ours to open.
    fn at(path: PathBuf) -> io::Result<Option<Self>> {
        /// Who removes the file while we wait for it has ended.
        const TRIES: usize = 16;
        let is_under_way = || io::Error::other("another backup with this name is under way");
        for _ in 0..TRIES {
            let nofollow = OFlags::NOFOLLOW.bits().cast_signed();
            let opened = private().create(true).truncate(false).custom_flags(nofollow).open(&path);
            let Ok(lock) = opened else { return Ok(None) };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(is_under_way()),
                Err(TryLockError::Error(_)) => return Ok(None),
            }
            let alone = Self { path: path.clone(), lock };
            if alone.has_name() {
                return Ok(Some(alone));
            }
        }
        Err(is_under_way())
    }

    /// Is the locked file the one that others find?
    fn has_name(&self) -> bool {
        let place = |file: Metadata| (file.dev(), file.ino());
        let named = self.path.symlink_metadata().map(place);
        named.is_ok_and(|named| self.lock.metadata().is_ok_and(|locked| place(locked) == named))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Before the lock goes: whoever has it open by then finds that it has no name, and makes a new one.
        if self.has_name() {
            let _ = std::fs::remove_file(&self.path);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_backups_with_one_name_the_second_is_refused_and_what_one_left_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let source = Connection::open_in_memory().unwrap();
        let write =
            |file: &Path| write(&source, file, UnixMs(0)).map_err(|trouble| trouble.told()).unwrap_err();
        let file = dir.path().join("copy");
        let [part, lock] = [".part", ".part-lock"].map(|ending| beside(&file, ending));
        let first = Alone::at(lock.clone()).unwrap().unwrap();
        std::fs::write(&part, "half").unwrap();
        assert!(write(&file).contains("another backup with this name is under way"));
        assert_eq!(std::fs::read(&part).unwrap(), b"half");
        drop(first);
        // One that was cut off left these behind.
        std::fs::write(&lock, "").unwrap();
        std::fs::write(beside(&part, "-journal"), "left").unwrap();
        let why = write(&file);
        assert!(why.contains("no such table: meta"), "it came further: {why}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing is left of one that failed");
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Alone::at(path.clone()).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = Alone::at(path.clone()).unwrap().unwrap();
        assert!(Alone::at(path.clone()).is_err());
        drop(first);
        assert!(Alone::at(path.clone()).is_err(), "who lost the name removes nothing");
        drop(second);
        assert!(Alone::at(path).unwrap().is_some());
    }
}
