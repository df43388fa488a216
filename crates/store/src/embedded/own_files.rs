//! Whether the files of the store are still those that SQLite has open.
//!
//! A file that is removed or replaced while it is open lives on without a name. What is written to it is synced and
//! answered, and nobody finds it any more; and at its end SQLite would remove the files that have the names now. So the
//! names are looked at before anybody hears that something is stored, and about once a second while nothing is.
//!
//! Only by name: a descriptor of a file that SQLite has locked takes its locks along when it is closed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::folder::{Folder, OpenError};
use crate::ledger::schema::LOG_KEPT_BYTES;
use crate::log_file;

/// The device and the number of a file on it.
type Identity = (u64, u64);

/// Refuses a store that is reached by more than one name: the lock keeps a second server out of the folder and not out of
/// the file, and SQLite finds the log by the name of the database.
pub(super) fn refuse_second_name(folder: &Folder) -> Result<(), OpenError> {
    let database = folder.database();
    for path in [log_file::log_of(&database), database] {
        let file = match path.symlink_metadata() {
            Err(error) if is_gone(&error) => continue,
            file => file.map_err(OpenError::io(&path))?,
        };
        if file.is_symlink() {
            let why =
                "it is a symbolic link: put the file itself there, or make the whole data folder a link";
            return Err(OpenError::damaged(&path, why));
        }
        if file.nlink() > 1 {
            let why = "it has more than one name (hard links), and a second server may have it open by another one: remove \
                       the other names, or put a copy of its own there";
            return Err(OpenError::damaged(&path, why));
        }
    }
    Ok(())
}

/// The files of an open store.
pub(crate) struct OwnFiles {
    files: Vec<(PathBuf, Identity)>,
    log: PathBuf,
    /// The log is at least so long, in bytes, until it is emptied.
    log_bytes_min: u64,
    page_bytes: u64,
}

impl OwnFiles {
    /// The files as they lie there now that SQLite has them open.
    pub fn of(folder: &Folder, writer: &Connection) -> Result<Self, OpenError> {
        let database = folder.database();
        let page_bytes = writer.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0));
        let page_bytes = page_bytes.map_err(|error| OpenError::damaged(&database, error))?.into();
        let log = log_file::log_of(&database);
        let paths = [database.clone(), log.clone(), log_file::index_of(&database)];
        let mut files = Vec::with_capacity(paths.len() + 1);
        for path in paths {
            let identity = identity(&path).map_err(OpenError::io(&path))?;
            files.push((path, identity));
        }
        files.push(folder.lock_file()?);
        Ok(Self { files, log, log_bytes_min: 0, page_bytes })
    }

    /// Notes how many pages the log has; none if it was emptied. SQLite cuts a long one when it begins it anew.
    pub fn note_log(&mut self, pages: i64) {
        self.log_bytes_min = self.bytes_of(pages);
    }

    fn bytes_of(&self, pages: i64) -> u64 {
        match pages {
            ..=0 => 0,
            pages => log_file::end_of(pages.unsigned_abs(), self.page_bytes).min(LOG_KEPT_BYTES.into()),
        }
    }

    /// Refuses to go on where one of the names stands for another file, or for none.
    pub fn refuse_lost(&self) -> Result<(), String> {
        for (path, opened) in &self.files {
            match identity(path) {
                Ok(found) if found == *opened => {}
                Ok(_) => return Err(lost(path)),
                Err(error) if is_gone(&error) => return Err(lost(path)),
                // That it cannot be looked at says nothing of the file.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Refuses to write behind the end of a log that somebody cut: what was in it would be a hole. One that another
    /// program has written back in order is empty by SQLite's own word, which `pages` asks for.
    ///
    /// One that is cut between this and the write is not noticed.
    pub fn refuse_cut(&self, pages: impl FnOnce() -> rusqlite::Result<i64>) -> Result<(), String> {
        let Ok(bytes) = self.log.metadata().map(|log| log.len()) else { return Ok(()) };
        if bytes >= self.log_bytes_min || pages().is_ok_and(|pages| bytes >= self.bytes_of(pages)) {
            return Ok(());
        }
        Err(format!(
            "{} was cut short while the server ran: what was accepted last is in no file any more. Start again; if the \
             store is refused then, put a backup in its place",
            self.log.display()
        ))
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    path.metadata().map(|file| (file.dev(), file.ino()))
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
    matches!(error.kind(), NotFound | NotADirectory | StaleNetworkFileHandle)
}

fn lost(path: &Path) -> String {
    format!(
        "{} was replaced or removed while the server ran, so nothing more is written: what was accepted last may be in no \
         file any more. Put the files back that belong together, or a backup without a -wal beside it, and start again",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{opening, write_back};
    use crate::sealing::MasterKey;

    /// What somebody does to the files, and whether it is noticed.
    type Way = (&'static str, fn(&Path) -> io::Result<()>, bool);

    const WAYS: &[Way] = &[
        ("nothing", |_| Ok(()), false),
        (
            "the times are changed",
            |data| std::fs::File::open(data)?.set_modified(std::time::UNIX_EPOCH),
            false,
        ),
        ("a file is added", |data| std::fs::write(data.join("posthaste.db.old"), "x"), false),
        (
            "a second name is given",
            |data| std::fs::hard_link(data.join("posthaste.db"), data.join("x")),
            false,
        ),
        ("the database is removed", |data| std::fs::remove_file(data.join("posthaste.db")), true),
        ("the database is moved", |data| std::fs::rename(data.join("posthaste.db"), data.join("x")), true),
        ("the database is replaced", |data| put(data, "posthaste.db"), true),
        ("the log is removed", |data| std::fs::remove_file(data.join("posthaste.db-wal")), true),
        ("the log is replaced", |data| put(data, "posthaste.db-wal"), true),
        ("the log is emptied", |data| cut(data, 0), true),
        ("the log is written back by another program", write_back_from_outside, false),
        ("the log is cut in its midst", |data| cut(data, 9_000), true),
        ("the index is removed", |data| std::fs::remove_file(data.join("posthaste.db-shm")), true),
        ("the lock is removed", |data| std::fs::remove_file(data.join("posthaste.lock")), true),
        ("the lock is replaced", |data| put(data, "posthaste.lock"), true),
        ("the folder is moved", |data| std::fs::rename(data, data.with_extension("moved")), true),
        ("the folder is removed", |data| std::fs::remove_dir_all(data), true),
    ];

    /// Puts a copy in the place of a file, as somebody does who puts a backup back.
    fn put(data: &Path, name: &str) -> io::Result<()> {
        std::fs::copy(data.join(name), data.join("copy"))?;
        std::fs::rename(data.join("copy"), data.join(name))
    }

    fn write_back_from_outside(data: &Path) -> io::Result<()> {
        let other = rusqlite::Connection::open(data.join("posthaste.db")).map_err(io::Error::other)?;
        let written = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        assert_eq!(written.map_err(io::Error::other)?, 0);
        assert_eq!(data.join("posthaste.db-wal").metadata()?.len(), 0);
        Ok(())
    }

    fn cut(data: &Path, bytes: u64) -> io::Result<()> {
        std::fs::OpenOptions::new().write(true).open(data.join("posthaste.db-wal"))?.set_len(bytes)
    }

    #[test]
    fn what_is_done_to_the_files_beneath_an_open_store_is_noticed() {
        let keys = MasterKey::from_bytes([1; 32]).into();
        for (what, change, is_noticed) in WAYS {
            let dir = tempfile::tempdir().unwrap();
            let data = dir.path().join("data");
            let folder = Folder::open(&data).unwrap();
            let open = opening::open(&folder, &keys, posthaste_core::UnixMs(0)).unwrap();
            let mut own = OwnFiles::of(&folder, open.ledger.conn()).unwrap();
            let conn = open.ledger.conn();
            own.note_log(write_back::pages_of(conn).unwrap());
            change(&data).unwrap();
            let noticed = own.refuse_lost().and(own.refuse_cut(|| write_back::pages_of(conn)));
            assert_eq!(noticed.is_err(), *is_noticed, "{what}: {noticed:?}");
        }
        println!("counted | store | ways of changing the files beneath an open store | {}", WAYS.len());
    }
}
