//! A disk as far as a crash goes: what is on it for good, and what is asked of it and not yet synced.
//!
//! A name in a folder lasts once the folder was synced after it was made, a file's bytes once the file was. Until then
//! each may be there or not, whatever else is. Nothing here supposes more than that of a file system.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::trace::Record;

/// What is asked of a file and may be lost.
#[derive(Debug, Clone)]
pub enum Change {
    /// Bytes at a place.
    Write { at: usize, bytes: Arc<[u8]> },
    /// This length.
    Cut(usize),
    /// At least this length.
    Grow(usize),
}

/// A file, whatever its name.
#[derive(Debug, Default)]
pub struct File {
    /// What is there for good.
    pub synced: Vec<u8>,
    /// What is not, with the place in the trace, in order.
    pub unsynced: Vec<(usize, Change)>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A file, by its place in [`Disk::files`].
    File(usize),
    /// A folder.
    Folder,
}

/// What is asked of a folder and may be lost.
#[derive(Debug, Clone)]
pub enum Naming {
    /// A new name.
    Put(PathBuf, Node),
    /// A name taken away.
    Gone(PathBuf),
    /// Another name, which takes the place of what had it.
    Moved { from: PathBuf, to: PathBuf, node: Node },
}

/// Names and what they stand for.
pub type Names = BTreeMap<PathBuf, Node>;

/// The disk at one place of a trace.
#[derive(Debug, Default)]
pub struct Disk {
    /// All files there ever were.
    pub files: Vec<File>,
    /// The names that are there for good.
    pub synced: Names,
    /// What is asked of names since, with the place in the trace, in order.
    pub unsynced: Vec<(usize, Naming)>,
    /// The names as the program sees them.
    now: Names,
    files_by_inode: HashMap<u64, usize>,
    folders_by_inode: HashMap<u64, PathBuf>,
    made_folders: HashSet<PathBuf>,
}

impl Change {
    /// Does it.
    pub fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(file, *at, bytes),
            Self::Cut(length) => file.resize(*length, 0),
            Self::Grow(length) => file.resize(file.len().max(*length), 0),
        }
    }
}

/// Puts bytes into a file; what is between its end and them is zero.
pub fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

impl File {
    /// As the program sees it.
    pub fn now(&self) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        self.unsynced.iter().for_each(|(_, change)| change.apply(&mut bytes));
        bytes
    }

    fn sync(&mut self, before: usize) {
        let kept = self.unsynced.partition_point(|(place, _)| *place < before);
        for (_, change) in self.unsynced.drain(..kept) {
            change.apply(&mut self.synced);
        }
    }
}

impl Naming {
    /// Does it.
    pub fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(path, node) => _ = names.insert(path.clone(), *node),
            Self::Gone(path) => _ = names.remove(path),
            Self::Moved { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Put(path, _) | Self::Gone(path) | Self::Moved { to: path, .. } => path.parent(),
        }
    }
}

impl Disk {
    /// Takes in what stands at this place of the trace.
    ///
    /// # Errors
    /// If it does not fit to what came before: then something was done that is not in the trace.
    pub fn take(&mut self, place: usize, record: &Record) -> anyhow::Result<()> {
        match record {
            // The number may have been that of a file that is gone, and whose end is not synced.
            Record::Opened { inode, path, .. } if is_passing(path) => {
                self.files_by_inode.remove(inode);
            }
            Record::Opened { inode, path, is_folder: true, .. } => {
                self.folders_by_inode.insert(*inode, path.clone());
            }
            Record::Opened { inode, path, was_made, was_emptied, .. } => {
                self.open(place, *inode, path, *was_made, *was_emptied)?;
            }
            Record::Written { inode, at, bytes } => {
                self.change(place, *inode, || Change::Write { at: *at, bytes: bytes.clone() });
            }
            Record::Cut { inode, length } => self.change(place, *inode, || Change::Cut(*length)),
            Record::Grown { inode, length } => self.change(place, *inode, || Change::Grow(*length)),
            Record::Renamed { from, to } => {
                let node =
                    *self.now.get(from).with_context(|| format!("{} was not there", from.display()))?;
                self.name(place, Naming::Moved { from: from.clone(), to: to.clone(), node });
            }
            Record::Unlinked { path } if is_passing(path) => {}
            Record::Unlinked { path } => self.name(place, Naming::Gone(path.clone())),
            Record::FolderMade { path } => {
                self.made_folders.insert(path.clone());
                self.name(place, Naming::Put(path.clone(), Node::Folder));
            }
            Record::SyncEnded { inode, begun_at } => self.sync(*inode, *begun_at),
            Record::SyncBegun | Record::Answer { .. } | Record::AnswerFailed { .. } => {}
        }
        Ok(())
    }

    /// Is there anything that may be lost?
    pub fn is_unsynced(&self) -> bool {
        let mut files = self.now.values().chain(self.synced.values()).filter_map(|node| match node {
            Node::File(no) => self.files.get(*no),
            Node::Folder => None,
        });
        !self.unsynced.is_empty() || files.any(|file| !file.unsynced.is_empty())
    }

    /// Is this a folder that the program made?
    pub fn is_known_folder(&self, path: &Path) -> bool {
        self.made_folders.contains(path)
    }

    /// The files as the program sees them.
    pub fn now(&self) -> impl Iterator<Item = (&Path, &File)> {
        self.now.iter().filter_map(|(path, node)| match node {
            Node::File(no) => Some((path.as_path(), self.files.get(*no)?)),
            Node::Folder => None,
        })
    }

    fn open(
        &mut self,
        place: usize,
        inode: u64,
        path: &Path,
        was_made: bool,
        was_emptied: bool,
    ) -> anyhow::Result<()> {
        if was_made {
            self.files.push(File::default());
            let no = self.files.len() - 1;
            self.files_by_inode.insert(inode, no);
            self.name(place, Naming::Put(path.to_owned(), Node::File(no)));
        } else if !matches!(self.now.get(path), Some(Node::File(_))) {
            bail!("{} was there and nobody made it", path.display());
        }
        if was_emptied {
            self.change(place, inode, || Change::Cut(0));
        }
        Ok(())
    }

    /// Files that are none of the folder's are left out.
    fn change(&mut self, place: usize, inode: u64, change: impl FnOnce() -> Change) {
        let file = self.files_by_inode.get(&inode).and_then(|no| self.files.get_mut(*no));
        if let Some(file) = file {
            file.unsynced.push((place, change()));
        }
    }

    fn name(&mut self, place: usize, naming: Naming) {
        naming.apply(&mut self.now);
        self.unsynced.push((place, naming));
    }

    fn sync(&mut self, inode: u64, before: usize) {
        if let Some(folder) = self.folders_by_inode.get(&inode) {
            let is_synced = |naming: &Naming| naming.folder() == Some(folder);
            for (_, naming) in
                self.unsynced.extract_if(.., |(place, naming)| *place < before && is_synced(naming))
            {
                naming.apply(&mut self.synced);
            }
        } else if let Some(file) = self.files_by_inode.get(&inode).and_then(|no| self.files.get_mut(*no)) {
            file.sync(before);
        }
    }
}

/// SQLite's index of its log is shared memory with a name: it is made anew after every crash. The ballast holds nothing
/// but room, and is asked for by a call of the system itself, which the recorder does not see.
pub fn is_passing(path: &Path) -> bool {
    const ENDINGS: [&str; 3] = ["-shm", ".ballast", ".ballast.new"];
    let name = path.to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(name: &str, was_made: bool) -> Record {
        Record::Opened { inode: 7, path: name.into(), was_made, was_emptied: false, is_folder: false }
    }

    #[test]
    fn what_is_left_out_does_not_write_into_a_file_that_had_its_number() {
        let mut disk = Disk::default();
        let written = |bytes: &[u8]| Record::Written { inode: 7, at: 0, bytes: bytes.into() };
        let records = [
            opened("/data/posthaste.db-wal", true),
            written(b"log"),
            Record::SyncEnded { inode: 7, begun_at: 2 },
            Record::Unlinked { path: "/data/posthaste.db-wal".into() },
            opened("/data/posthaste.db-shm", true),
            Record::Cut { inode: 7, length: 1 },
            written(b"index"),
        ];
        for (place, record) in records.iter().enumerate() {
            disk.take(place, record).unwrap();
        }
        let files: Vec<_> = disk.files.iter().map(File::now).collect();
        assert_eq!(files, [b"log"]);
    }
}
