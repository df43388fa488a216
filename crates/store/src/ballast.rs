//! A file that holds room for the moment when the disk is full.
//!
//! On a full disk nothing can be written, not even that old rows may go. So a little room is taken beforehand, and given
//! back to the disk when what is under way has to be finished.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::folder::{Disk, private};

const FILE: &str = "posthaste.ballast";
/// The results of all attempts that may be under way fit into this several times, where receivers answer briefly.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// A small disk gives one part in so many: half of what is left when publishing ends there.
const SHARE: u64 = 100;
/// After a start on a full disk it may be smaller by this much.
const SMALLEST_PART: u64 = 4;

/// The file, whether it is there or not.
pub(crate) struct Ballast {
    file: PathBuf,
    bytes: u64,
}

impl Ballast {
    /// The ballast of a folder on a disk.
    pub fn of(folder: &Path, disk: &Disk) -> Self {
        Self { file: folder.join(FILE), bytes: MOST_BYTES.min(disk.bytes / SHARE) }
    }

    /// How large it is to be, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Is it there, and of use?
    pub fn is_there(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.len() > 0 && file.len() >= self.bytes / SMALLEST_PART)
    }

    /// Gives its room back to the disk.
    pub fn release(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes its room, whole.
    pub fn make(&self) -> io::Result<()> {
        self.make_of(self.bytes)
    }

    /// Takes as much of its room as there is, unless that is too little to be of use.
    pub fn make_of_what_is_left(&self) -> io::Result<()> {
        self.make_of(self.bytes)
            .or_else(|_| self.make_of(self.bytes / 2))
            .or_else(|_| self.make_of(self.bytes / SMALLEST_PART))
    }

    fn make_of(&self, bytes: u64) -> io::Result<()> {
        let file = private().create(true).truncate(true).open(&self.file)?;
        let made = match fallocate(&file, FallocateFlags::empty(), 0, bytes.max(1)) {
            Err(Errno::OPNOTSUPP) => fill(file, bytes),
            other => Ok(other?),
        };
        made.inspect_err(|_| _ = self.release())
    }
}

/// For file systems that reserve nothing unwritten.
fn fill(mut file: File, bytes: u64) -> io::Result<()> {
    let piece = [0; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len() as u64);
        file.write_all(&piece[..now as usize])?;
        left -= now;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn it_takes_real_room_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk { bytes: 100 * 1024 * 1024, left: 100 * 1024 * 1024 };
        let ballast = Ballast::of(dir.path(), &disk);
        assert!(!ballast.is_there());
        ballast.make().unwrap();
        let file = dir.path().join(FILE).metadata().unwrap();
        assert_eq!(file.len(), 1024 * 1024);
        assert!(file.blocks() * 512 >= 1024 * 1024, "the room is taken and not only promised");
        assert!(ballast.is_there());
        ballast.release().unwrap();
        ballast.release().unwrap();
        assert!(!ballast.is_there());
    }
}
