//! Ways in which files are damaged.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};

use super::fill::Filled;
use crate::dice::Dice;

const PAGE_BYTES: u64 = 8_192;
/// The header of a log, and of each page in it.
const LOG_HEADER_BYTES: u64 = 32;
const FRAME_BYTES: u64 = PAGE_BYTES + 24;
/// What a page of a table or index begins with if no other is below it.
const LEAF: u8 = 10;
/// So much of a row holds how long its columns are, and the first of them: which event, which webhook, how it stands.
const ROW_HEAD_BYTES: u64 = 48;

/// A way.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    FlipBit,
    FlipByte,
    /// They have no checksum; and by chance a row's key is seldom hit.
    FlipByteOfDelivery,
    ZeroPage,
    SwapPages,
    Truncate,
    FlipBitInLog,
    ZeroInLog,
    TruncateLog,
    RemoveLog,
    OtherLog,
    OtherFile,
    Empty,
    GarbageHeader,
}

/// What was done.
pub struct Done {
    /// In words.
    pub says: String,
    /// Why nobody may be able to notice.
    pub excuse: Option<Excuse>,
}

/// Why damage looks like something that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// The last commit of the log is damaged, and a crash leaves that, too: what is left is to be exactly what is in so
    /// many bytes of whole commits.
    LastCommit {
        /// The bytes.
        whole_bytes: u64,
    },
    /// Both files may be sound, and of another time than this copy.
    OtherTime,
}

impl Excuse {
    /// For a log with commits that end there, damaged from `at` on.
    fn last_commit(ends: &[u64], at: u64) -> Self {
        Self::LastCommit { whole_bytes: ends.iter().copied().rfind(|end| *end <= at).unwrap_or_default() }
    }
}

/// Is nothing hit but the last commit, or what follows it?
fn is_last(ends: &[u64], at: u64) -> bool {
    let before = ends.len().checked_sub(2).and_then(|place| ends.get(place));
    at >= before.copied().unwrap_or(LOG_HEADER_BYTES)
}

impl Kind {
    /// One of them; the commonest most often.
    pub fn choose(dice: &mut Dice) -> Self {
        match dice.below(40) {
            0..8 => Self::FlipBit,
            8..12 => Self::FlipByte,
            12..18 => Self::FlipByteOfDelivery,
            18..21 => Self::ZeroPage,
            21..24 => Self::SwapPages,
            24..26 => Self::Truncate,
            26..30 => Self::FlipBitInLog,
            30..32 => Self::ZeroInLog,
            32 => Self::TruncateLog,
            33 => Self::RemoveLog,
            34..36 => Self::OtherLog,
            36..38 => Self::OtherFile,
            38 => Self::Empty,
            _ => Self::GarbageHeader,
        }
    }

    /// Damages a copy of the snapshot `at`; `None` if there is nothing of the sort to damage.
    pub fn apply(
        self,
        copy: &Path,
        filled: &Filled,
        at: usize,
        dice: &mut Dice,
    ) -> anyhow::Result<Option<Done>> {
        let (database, log) = (copy.join("posthaste.db"), copy.join("posthaste.db-wal"));
        let size = |file: &Path| file.metadata().map_or(0, |file| file.len());
        let (pages, log_bytes) = (size(&database) / PAGE_BYTES, size(&log));
        let is_in_log =
            matches!(self, Self::FlipBitInLog | Self::ZeroInLog | Self::TruncateLog | Self::RemoveLog);
        if (is_in_log && log_bytes == 0) || pages < 2 {
            return Ok(None);
        }
        let mut offset = dice.below(if is_in_log { log_bytes } else { pages * PAGE_BYTES });
        let page = dice.below(pages);
        let mut excuse = None;
        match self {
            Self::FlipBit => flip(&database, offset, 1 << dice.below(8))?,
            Self::FlipByte => flip(&database, offset, dice.below(255) as u8 + 1)?,
            Self::FlipByteOfDelivery => {
                let rows = delivery_rows(&database)?;
                let Some(row) = rows.get(dice.below(rows.len().max(1) as u64) as usize) else {
                    return Ok(None);
                };
                offset = (row + dice.below(ROW_HEAD_BYTES)).min(pages * PAGE_BYTES - 1);
                flip(&database, offset, dice.below(255) as u8 + 1)?;
            }
            Self::ZeroPage => zero(&database, page * PAGE_BYTES, PAGE_BYTES)?,
            Self::SwapPages => swap(&database, page, dice.below(pages))?,
            Self::Truncate => cut(&database, offset)?,
            Self::FlipBitInLog => {
                let ends = commit_ends(&log)?;
                excuse = is_last(&ends, offset).then(|| Excuse::last_commit(&ends, offset));
                flip(&log, offset, 1 << dice.below(8))?;
            }
            Self::ZeroInLog => {
                // A whole page with its header.
                let from = LOG_HEADER_BYTES + offset / FRAME_BYTES * FRAME_BYTES;
                let ends = commit_ends(&log)?;
                // With its header it is lost where the commit before the last ended.
                excuse = is_last(&ends, from + FRAME_BYTES).then(|| Excuse::last_commit(&ends, from));
                zero(&log, from, FRAME_BYTES.min(log_bytes.saturating_sub(from)))?;
            }
            Self::TruncateLog => {
                let ends = commit_ends(&log)?;
                excuse = is_last(&ends, offset).then(|| Excuse::last_commit(&ends, offset));
                cut(&log, offset)?;
            }
            Self::RemoveLog => std::fs::remove_file(&log)?,
            Self::OtherLog | Self::OtherFile => {
                let other = dice.below(filled.snapshots.len() as u64) as usize;
                let name = if matches!(self, Self::OtherLog) { "posthaste.db-wal" } else { "posthaste.db" };
                let source = filled.snapshots[other].file(name);
                if other == at || size(&source) == 0 {
                    return Ok(None);
                }
                std::fs::copy(source, copy.join(name))?;
                let says = format!("{name} of copy {other}");
                return Ok(Some(Done { says, excuse: Some(Excuse::OtherTime) }));
            }
            Self::Empty => cut(&database, 0)?,
            Self::GarbageHeader => {
                (0..100).try_for_each(|at| flip(&database, at, dice.below(255) as u8 + 1))?
            }
        }
        let says = format!("{self:?} at {offset} or page {page}");
        Ok(Some(Done { says, excuse }))
    }
}

fn open(file: &Path) -> std::io::Result<std::fs::File> {
    OpenOptions::new().read(true).write(true).open(file)
}

fn flip(file: &Path, at: u64, mask: u8) -> std::io::Result<()> {
    let (file, mut byte) = (open(file)?, [0]);
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ mask], at)
}

fn zero(file: &Path, at: u64, bytes: u64) -> std::io::Result<()> {
    open(file)?.write_all_at(&vec![0; bytes as usize], at)
}

fn cut(file: &Path, bytes: u64) -> std::io::Result<()> {
    open(file)?.set_len(bytes)
}

fn swap(file: &Path, one: u64, other: u64) -> std::io::Result<()> {
    let file = open(file)?;
    let mut pages = [vec![0; PAGE_BYTES as usize], vec![0; PAGE_BYTES as usize]];
    file.read_exact_at(&mut pages[0], one * PAGE_BYTES)?;
    file.read_exact_at(&mut pages[1], other * PAGE_BYTES)?;
    file.write_all_at(&pages[1], one * PAGE_BYTES)?;
    file.write_all_at(&pages[0], other * PAGE_BYTES)
}

/// Where the rows of deliveries begin in the file.
fn delivery_rows(database: &Path) -> anyhow::Result<Vec<u64>> {
    let (bytes, mut rows) = (std::fs::read(database)?, Vec::new());
    for number in delivery_pages(database)? {
        let page_at = (number - 1) as u64 * PAGE_BYTES;
        let page = bytes.get(page_at as usize..(page_at + PAGE_BYTES) as usize).context("the file is cut")?;
        let short = |at: usize| u16::from_be_bytes([page[at], page[at + 1]]);
        let header_bytes = if page[0] == LEAF { 8 } else { 12 };
        let places = (0..usize::from(short(3))).map(|row| short(header_bytes + 2 * row));
        rows.extend(places.map(|place| page_at + u64::from(place)));
    }
    Ok(rows)
}

/// The pages that the file itself has of them, without its log.
fn delivery_pages(database: &Path) -> rusqlite::Result<Vec<i64>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(format!("file:{}?immutable=1", database.display()), flags)?;
    let mut statement = conn.prepare(
        "SELECT pageno FROM dbstat WHERE name = 'deliveries' AND pagetype <> 'overflow' ORDER BY pageno",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Where the commits in a log end, each of its own time.
fn commit_ends(log: &Path) -> std::io::Result<Vec<u64>> {
    let bytes = std::fs::read(log)?;
    let salts = bytes.get(16..24).unwrap_or_default();
    let (mut at, mut ends) = (LOG_HEADER_BYTES as usize, Vec::new());
    while let Some(header) = bytes.get(at..at + 24).filter(|header| &header[8..16] == salts) {
        at += FRAME_BYTES as usize;
        if header[4..8] != [0; 4] {
            ends.push(at as u64);
        }
    }
    Ok(ends)
}
