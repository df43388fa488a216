//! The write-ahead log as a file, before SQLite reads it.
//!
//! SQLite takes a log up to the first frame that does not match its checksum, which is what a crash leaves of the last
//! commit. What it cannot know is that each commit here was synced before the next was begun: where commits follow upon a
//! frame that does not match, that frame was on the disk and is damaged, and what follows was acknowledged.
//! The layout is the one of <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::folder::{OpenError, beside};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The first four bytes, but for the last bit, which says how the checksums read their numbers.
const MAGIC: u32 = 0x377f_0682;

/// What all frames of one log have in common. The first four bytes count up with each log that is begun in the same file.
pub(crate) type Salts = [u8; 8];

/// Refuses a log that is damaged before its last commit; one that is not there, or empty, is sound. Answers where that
/// commit ends, in bytes from the beginning; `None` if there is no log to speak of.
pub(crate) fn refuse_damaged(log: &Path) -> Result<Option<u64>, OpenError> {
    let file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io(log)(error)),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut reader, &mut header).map_err(OpenError::io(log))? {
        return Ok(None);
    }
    let Some(mut scan) = Scan::of(&header) else {
        // The header is synced before any frame is written.
        let has_more = fill(&mut reader, &mut [0; 1]).map_err(OpenError::io(log))?;
        let damaged = OpenError::damaged(log, "its header is damaged: what was acknowledged last is in it");
        return if has_more { Err(damaged) } else { Ok(None) };
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + scan.page_bytes];
    while fill(&mut reader, &mut frame).map_err(OpenError::io(log))? {
        if !scan.take(&frame) {
            break;
        }
    }
    match scan.damaged_before_commit {
        Some(number) => Err(OpenError::damaged(
            log,
            format!("frame {number} is damaged, and commits that were acknowledged follow upon it"),
        )),
        None => Ok(Some(end_of(scan.frames_committed, scan.page_bytes as u64))),
    }
}

/// A frame: what page it is of, the salts of its log, and the page.
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// Room for one.
    pub fn of(page_bytes: usize) -> Self {
        Self(vec![0; FRAME_HEADER_BYTES + page_bytes])
    }

    /// Reads the one that ends there, in bytes from the beginning of the log.
    pub fn read(&mut self, log: &File, end: u64) -> io::Result<()> {
        let from = end.saturating_sub(self.0.len() as u64);
        log.read_exact_at(&mut self.0, from)
    }

    pub fn page_number(&self) -> u32 {
        number(&self.0, 0)
    }

    pub fn salts(&self) -> Salts {
        self.0[8..].first_chunk().copied().unwrap_or_default()
    }

    pub fn page(&self) -> &[u8] {
        &self.0[FRAME_HEADER_BYTES..]
    }
}

/// Where so many frames end, in bytes from the beginning of the log.
pub(crate) fn end_of(frames: u64, page_bytes: u64) -> u64 {
    HEADER_BYTES as u64 + frames.saturating_mul(FRAME_HEADER_BYTES as u64 + page_bytes)
}

/// Where the log of a database lies.
pub(crate) fn log_of(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// Where the index of that log lies.
pub(crate) fn index_of(database: &Path) -> PathBuf {
    beside(database, "-shm")
}

/// The salts in the header of a log; `None` if it has none.
pub(crate) fn salts(log: &Path) -> Option<Salts> {
    let mut header = [0; HEADER_BYTES];
    File::open(log).ok()?.read_exact_at(&mut header, 0).ok()?;
    header[16..].first_chunk().copied().filter(|_| number(&header, 0) & !1 == MAGIC)
}

/// Does the database say that its changes go to a log? Whoever asks has no connection to it: SQLite's locks would go with
/// the descriptor that this looks through.
pub(crate) fn is_kept_by(database: &Path) -> bool {
    /// Where the version stands that writing takes; 2 is a log. <https://sqlite.org/fileformat2.html#file_format_version_numbers>
    const WRITE_VERSION_AT: u64 = 18;
    let mut version = [0];
    let read = File::open(database).and_then(|file| file.read_exact_at(&mut version, WRITE_VERSION_AT));
    read.is_ok() && version == [2]
}

/// Is there a log with something in it?
pub(crate) fn is_there(log: &Path) -> bool {
    log.metadata().is_ok_and(|file| file.len() > HEADER_BYTES as u64)
}

/// Reads all of a part; `false` if the file ends before.
fn fill(reader: &mut impl Read, part: &mut [u8]) -> std::io::Result<bool> {
    match reader.read_exact(part) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Two running sums over pairs of numbers.
type Sums = (u32, u32);

/// How far the log was read.
struct Scan {
    page_bytes: usize,
    is_big_endian: bool,
    salts: Salts,
    sums: Sums,
    frames: u64,
    /// How many frames there are up to the end of the last commit that matches, with all before it.
    frames_committed: u64,
    /// The first frame that does not match.
    damaged: Option<u64>,
    /// Did a commit end since then?
    has_commit_since: bool,
    /// That frame, once a frame was found behind the commit it belongs to.
    damaged_before_commit: Option<u64>,
}

impl Scan {
    fn of(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = number(header, 0);
        let is_big_endian = magic & 1 == 1;
        let page_bytes = usize::try_from(number(header, 8)).ok()?;
        let is_page_size = page_bytes.is_power_of_two() && (512..=65_536).contains(&page_bytes);
        let sums = sum((0, 0), &header[..24], is_big_endian);
        if magic & !1 != MAGIC || !is_page_size || sums != (number(header, 24), number(header, 28)) {
            return None;
        }
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        Some(Self {
            page_bytes,
            is_big_endian,
            salts,
            sums,
            frames: 0,
            frames_committed: 0,
            damaged: None,
            has_commit_since: false,
            damaged_before_commit: None,
        })
    }

    /// Looks at the next frame. Answers whether there is reason to read on.
    fn take(&mut self, frame: &[u8]) -> bool {
        self.frames += 1;
        let stored = (number(frame, 16), number(frame, 20));
        let summed = sum(self.sums, &frame[..8], self.is_big_endian);
        let summed = sum(summed, &frame[FRAME_HEADER_BYTES..], self.is_big_endian);
        // What follows upon a damaged frame goes on from the sums that stand in it.
        self.sums = stored;
        let is_commit = number(frame, 4) != 0;
        let is_ours = frame[8..16] == self.salts;
        if is_ours && summed == stored {
            if self.has_commit_since {
                self.damaged_before_commit = self.damaged;
                return false;
            }
            match self.damaged {
                Some(_) => self.has_commit_since = is_commit,
                None if is_commit => self.frames_committed = self.frames,
                None => {}
            }
            return true;
        }
        match self.damaged {
            None => self.damaged = Some(self.frames),
            // Where the sums are lost with the frame before, this one belongs to the log by its salts alone.
            Some(before) if is_ours && before + 1 == self.frames => {}
            // What else does not match is the end of what was written.
            Some(_) => return false,
        }
        self.has_commit_since = self.has_commit_since || (is_commit && is_ours);
        true
    }
}

/// Four bytes, the highest first.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn sum((mut one, mut two): Sums, bytes: &[u8], is_big_endian: bool) -> Sums {
    let read = if is_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let (pairs, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in pairs {
        one = one.wrapping_add(read([*a, *b, *c, *d])).wrapping_add(two);
        two = two.wrapping_add(read([*e, *f, *g, *h])).wrapping_add(one);
    }
    (one, two)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of several commits, and where its frames begin.
    fn log(folder: &Path) -> (PathBuf, Vec<u8>, usize) {
        let file = folder.join("test.db");
        let writer = rusqlite::Connection::open(&file).unwrap();
        writer
            .execute_batch("PRAGMA page_size = 512; PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
            .unwrap();
        (0..4).for_each(|_| writer.execute_batch("INSERT INTO t VALUES (randomblob(300))").unwrap());
        let log = log_of(&file);
        let bytes = std::fs::read(&log).unwrap();
        let frames = (bytes.len() - HEADER_BYTES) / (FRAME_HEADER_BYTES + 512);
        drop(writer);
        (log, bytes, frames)
    }

    #[test]
    fn damage_before_the_last_commit_is_told_from_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let (log, sound, frames) = log(folder.path());
        let frame_bytes = FRAME_HEADER_BYTES + 512;
        let judged = |bytes: &[u8]| {
            std::fs::write(&log, bytes).unwrap();
            refuse_damaged(&log).is_ok()
        };
        assert!(judged(&sound));
        assert!(judged(&[]));
        let ends_commit = |frame: &usize| number(&sound, HEADER_BYTES + frame * frame_bytes + 4) != 0;
        let last = (0..frames - 1).rev().find(ends_commit).unwrap() + 1;
        let mut tried = 0;
        for frame in 0..frames {
            let from = HEADER_BYTES + frame * frame_bytes;
            let mut lost = sound.clone();
            lost[from..from + frame_bytes].fill(0);
            let mut flipped = sound.clone();
            flipped[from + 100] ^= 1;
            if frame < last {
                assert!(!judged(&flipped), "frame {frame} of {frames} flipped");
                tried += 1;
            }
            // A commit's end that is lost with its header looks as if the commit was the last one's.
            if frame + 1 < last {
                assert!(!judged(&lost), "frame {frame} of {frames} lost");
                tried += 1;
            }
            assert!(judged(&sound[..from]), "cut at frame {frame}");
        }
        assert!(tried > 4, "{tried}");
        let mut header = sound;
        header[9] ^= 1;
        assert!(!judged(&header));
    }
}
