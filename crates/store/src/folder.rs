//! The data folder: the database, the master key beside it, and the lock that keeps a second process out.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::ledger::trouble::DATABASE_FILE;
use crate::sealing::{MasterKey, MasterKeys};

/// The file of the master key: 64 hexadecimal digits, and on a second line the former key while it is needed.
const KEY_FILE: &str = "master.key";
/// What the file is written as before it takes the place of the one that is there.
const NEW_KEY_FILE: &str = "master.key.new";
pub(crate) const LOCK_FILE: &str = "posthaste.lock";

/// Publishing is refused with less than this left, or less than [`RESERVE_SHARE`] of a small disk.
const RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// One part in so many of the whole disk.
const RESERVE_SHARE: u64 = 50;

/// Enough for 24,000 pages of the log: beyond that, the log grows only while somebody reads for a very long time.
const LOG_INDEX_BYTES: u64 = 192 * 1024;

/// Why a store does not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// There is a store but no key to it.
    #[error(
        "{} holds a store, but its master key is missing: put {KEY_FILE} back beside it or set POSTHASTE_MASTER_KEY",
        .0.display()
    )]
    KeyMissing(PathBuf),
    /// The key file does not hold a key.
    #[error("{} does not hold a master key of 64 hexadecimal digits, or two of them as two lines", .0.display())]
    KeyUnreadable(PathBuf),
    /// The key is another store's.
    #[error("the master key does not belong to the store in {}: nothing in it could be unsealed", .0.display())]
    WrongKey(PathBuf),
    /// Only one of the two keys of a rotation is there.
    #[error(
        "the secrets in {} are being sealed under a new master key: both keys are needed, the new one and then the \
         former one, as two lines of {KEY_FILE} or as POSTHASTE_MASTER_KEY=NEW,FORMER",
        .0.display()
    )]
    KeyOfRotationMissing(PathBuf),
    /// A later version of this program wrote it.
    #[error("{} was written by a later version of Posthaste (layout {found}, this version knows {known})", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The layout it has.
        found: usize,
        /// The latest layout known here.
        known: usize,
    },
    /// There was a store, and its file is gone or empty, or all that it had was in a log that is gone.
    #[error(
        "{} is missing or empty, and there was a store here: put a backup in its place, or remove {LOCK_FILE} beside it to \
         begin with an empty one",
        .0.display()
    )]
    Lost(PathBuf),
    /// It is no store, or damaged.
    #[error("{} cannot be used: {what}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The disk is full.
    #[error("the disk of {} has no room, or no files, left: {what}", .folder.display())]
    NoRoom {
        /// The data folder.
        folder: PathBuf,
        /// What could not be done.
        what: String,
    },
    /// The file system refused.
    #[error("{}: {source}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A backup was not written; the sentence names its file.
    #[error("{0}")]
    NotCopied(String),
    /// The program was built with an SQLite that may lose data.
    #[error("SQLite {0} is too old: 3.51.3 or later is needed")]
    OldSqlite(&'static str),
}

impl OpenError {
    pub(crate) fn io(file: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { file, source }
    }

    /// The same, but for what a full disk may be the reason of.
    pub(crate) fn on_disk_of(self, folder: &Path) -> Self {
        let is_full = || {
            rustix::fs::statvfs(folder)
                .is_ok_and(|disk| disk.f_bavail == 0 || (disk.f_files > 0 && disk.f_favail == 0))
        };
        match self {
            Self::Damaged { .. } | Self::Io { .. } if is_full() => {
                Self::NoRoom { folder: folder.to_owned(), what: self.to_string() }
            }
            other => other,
        }
    }

    pub(crate) fn damaged(file: &Path, what: impl ToString) -> Self {
        Self::Damaged { file: file.to_owned(), what: what.to_string() }
    }
}

/// A data folder that this process has to itself.
pub(crate) struct Folder {
    path: PathBuf,
    /// Held until the folder is dropped; the system lets go of it if the process dies.
    lock: File,
}

impl Folder {
    /// Makes the folder with mode 0700 if it is absent, and locks it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        make_folder(path).map_err(OpenError::io(path))?;
        let lock_path = path.join(LOCK_FILE);
        let lock =
            private().create(true).truncate(false).open(&lock_path).map_err(OpenError::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {
                posthaste_faults::point("store.folder-locked");
                let folder = Self { path: path.to_owned(), lock };
                folder.refuse_lost()?;
                Ok(folder)
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(OpenError::Io { file: lock_path, source }),
        }
    }

    /// A store that was here does not begin anew as an empty one because its file is gone.
    fn refuse_lost(&self) -> Result<(), OpenError> {
        match self.remembers_store() && !self.has_database() {
            true => Err(OpenError::Lost(self.database())),
            false => Ok(()),
        }
    }

    /// Was there a store here before this start?
    pub fn remembers_store(&self) -> bool {
        self.lock.metadata().is_ok_and(|lock| lock.len() > 0)
    }

    /// Writes down that there is a store here.
    pub fn remember_store(&self) -> Result<(), OpenError> {
        let written = match self.lock.metadata().map(|lock| lock.len()) {
            Ok(0) => (&self.lock).write_all(b"There is a store here.\n").and_then(|()| self.lock.sync_all()),
            other => other.map(drop),
        };
        written.map_err(OpenError::io(&self.path.join(LOCK_FILE)))
    }

    /// The file of the lock, open for reading and writing.
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// The file of the lock, with its device and its number there.
    pub fn lock_file(&self) -> Result<(PathBuf, (u64, u64)), OpenError> {
        let path = self.path.join(LOCK_FILE);
        let lock = self.lock.metadata().map_err(OpenError::io(&path))?;
        Ok((path, (lock.dev(), lock.ino())))
    }

    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Is there a store already?
    pub fn has_database(&self) -> bool {
        has_database(&self.path)
    }

    /// The keys that were handed in, or those in the folder, or for a new store a new one.
    pub fn master_keys(&self, given: Option<MasterKeys>) -> Result<MasterKeys, OpenError> {
        if let Some(keys) = given {
            return Ok(keys);
        }
        if let Some(keys) = read_keys(&self.path)? {
            return Ok(keys);
        }
        if self.has_database() {
            return Err(OpenError::KeyMissing(self.path.clone()));
        }
        let file = self.path.join(KEY_FILE);
        let key = MasterKey::random().map_err(|_| OpenError::damaged(&file, "no random bytes"))?;
        let keys = MasterKeys::from(key);
        self.key_file().replace(&keys).map_err(OpenError::io(&file))?;
        Ok(keys)
    }

    /// Where the keys are kept if nobody hands them in.
    pub fn key_file(&self) -> KeyFile {
        KeyFile::of(&self.path)
    }

    /// Makes the empty file of a new store, so that it and its log have mode 0600 from the first byte.
    pub fn create_database(&self) -> Result<(), OpenError> {
        let file = self.database();
        private().create(true).truncate(false).open(&file).map_err(OpenError::io(&file))?;
        self.sync()
    }

    /// Takes the room that the index of a long log needs (`-shm`), as far as there is any: what is in the log then never
    /// waits for room in its index. SQLite's locks go with the first descriptor of the file that is closed, so the caller
    /// keeps this one until SQLite has closed its own.
    pub fn reserve_log_index(&self) -> Option<File> {
        let index = beside(&self.database(), "-shm");
        let index = OpenOptions::new().read(true).write(true).open(index).ok()?;
        if let Err(error) = rustix::fs::fallocate(&index, FallocateFlags::empty(), 0, LOG_INDEX_BYTES) {
            tracing::debug!(%error, "no room was taken for the index of the log");
        }
        Some(index)
    }

    /// Makes the names of the files in it last.
    pub fn sync(&self) -> Result<(), OpenError> {
        sync_folder(&self.path).map_err(OpenError::io(&self.path))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The disk that a folder is on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    /// All of it, in bytes.
    pub bytes: u64,
    /// What is left for us, in bytes.
    pub left: u64,
}

impl Disk {
    pub fn of(folder: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { bytes: bytes(disk.f_blocks), left: bytes(disk.f_bavail) })
    }

    /// Is there room to take more in?
    pub fn has_room(&self) -> bool {
        self.left > RESERVE_BYTES.min(self.bytes / RESERVE_SHARE)
    }

    /// The same disk with so many bytes more taken.
    pub fn left_after(self, bytes: u64) -> Self {
        Self { left: self.left.saturating_sub(bytes), ..self }
    }
}

/// The file of the master key of a folder.
#[derive(Clone)]
pub(crate) struct KeyFile {
    folder: PathBuf,
}

impl KeyFile {
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join(KEY_FILE)
    }

    /// The keys in it.
    pub fn read(&self) -> Result<MasterKeys, OpenError> {
        read_keys(&self.folder)?.ok_or_else(|| OpenError::KeyMissing(self.folder.clone()))
    }

    /// Is this key in it?
    pub fn holds(&self, key: &MasterKey) -> bool {
        self.read().is_ok_and(|keys| keys.hold(&key.check_value()))
    }

    /// Whatever happens, the file holds what it held or `keys`, and once this returns it holds `keys`. It stays where it
    /// lies, also behind a symbolic link, and belongs to whom it belonged to.
    pub fn replace(&self, keys: &MasterKeys) -> io::Result<()> {
        let target = self.target()?;
        let beside = target.with_file_name(NEW_KEY_FILE);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => create_private(&beside, keys.to_text().as_bytes())?,
        }
        if let Err(error) = keep_owner(&target, &beside) {
            let _ = std::fs::remove_file(&beside);
            return Err(error);
        }
        posthaste_faults::point("store.key-written-beside");
        std::fs::rename(&beside, &target)?;
        posthaste_faults::point("store.key-replaced");
        sync_folder(target.parent().unwrap_or(&self.folder))
    }

    fn target(&self) -> io::Result<PathBuf> {
        let path = self.path();
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
                Err(io::Error::other("it is a symbolic link to a file that is not there"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
            target => target,
        }
    }
}

/// The new file is to be read by whoever reads the one that is there; by others than owner and group never.
fn keep_owner(there: &Path, new: &Path) -> io::Result<()> {
    let Ok(there) = there.metadata() else { return Ok(()) };
    let file = File::open(new)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (there.uid(), there.gid()) {
        fchown(&file, Some(there.uid()), Some(there.gid())).map_err(|error| {
            io::Error::new(error.kind(), format!("it could not be given back to its owner: {error}"))
        })?;
    }
    file.set_permissions(Permissions::from_mode(there.mode() & 0o070 | 0o600))?;
    file.sync_all()
}

/// Does a process have this folder to itself?
pub(crate) fn is_in_use(folder: &Path) -> bool {
    let lock = File::open(folder.join(LOCK_FILE));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Makes a folder for the owner alone, and those it is in, if they are absent. Once this returns their names last, also if
/// an earlier start made them and was cut off.
fn make_folder(path: &Path) -> io::Result<()> {
    let absent = path.ancestors().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()).count();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for holder in path.canonicalize()?.ancestors().skip(1).take(absent.max(1)) {
        match sync_folder(holder) {
            // Whoever may not look into it did not make the folder in it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Is there a store in this folder?
pub(crate) fn has_database(folder: &Path) -> bool {
    folder.join(DATABASE_FILE).metadata().is_ok_and(|file| file.len() > 0)
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if posthaste_faults::bug("no-directory-sync") {
        return Ok(());
    }
    File::open(folder).and_then(|folder| folder.sync_all())
}

/// The keys in a folder; `None` if there is no file.
pub(crate) fn read_keys(folder: &Path) -> Result<Option<MasterKeys>, OpenError> {
    let file = folder.join(KEY_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let text = zeroize::Zeroizing::new(text);
            MasterKeys::from_text(&text).map(Some).ok_or(OpenError::KeyUnreadable(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Io { file, source }),
    }
}

/// The file beside another one that has its name with an ending.
pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Writes a new file of mode 0600; refuses to touch one that is there.
pub(crate) fn create_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut created = private().create_new(true).open(file)?;
    created.write_all(content)?;
    created.sync_all()
}
