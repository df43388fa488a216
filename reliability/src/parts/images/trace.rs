//! What `preload/record.c` wrote down.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};

/// One thing that the program did, or asked for.
#[derive(Debug, Clone)]
pub enum Record {
    /// A file or folder was opened.
    Opened { inode: u64, path: PathBuf, was_made: bool, was_emptied: bool, is_folder: bool },
    /// Bytes were written to a file.
    Written { inode: u64, at: usize, bytes: Arc<[u8]> },
    /// A file got this length.
    Cut { inode: u64, length: usize },
    /// A file was made at least this long.
    Grown { inode: u64, length: usize },
    /// A file got another name.
    Renamed { from: PathBuf, to: PathBuf },
    /// A name was taken away.
    Unlinked { path: PathBuf },
    /// A folder was made.
    FolderMade { path: PathBuf },
    /// A sync was asked for.
    SyncBegun,
    /// A sync has come back; it was asked for at this place in the trace.
    SyncEnded { inode: u64, begun_at: usize },
    /// An answer of success is about to be sent.
    Answer { head: String },
    /// An answer was not sent after all, or is sent again.
    AnswerFailed { answer_at: usize },
}

const HEAD_BYTES: usize = 32;
const WAS_MADE: u64 = 1;
const WAS_EMPTIED: u64 = 2;
const IS_FOLDER: u64 = 4;

/// Reads the files of several processes, one after the other, as one trace.
///
/// # Errors
/// If a file cannot be read or holds what is not understood.
pub fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        // Numbers of records count from the beginning of each process.
        let first = records.len();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (record, used) =
                one(rest, first).with_context(|| format!("{}: record {}", file.display(), records.len()))?;
            records.push(record);
            rest = &rest[used..];
        }
    }
    Ok(records)
}

/// One record, and how many bytes it took. Nobody writes these files but our own library, on this machine.
fn one(bytes: &[u8], first: usize) -> anyhow::Result<(Record, usize)> {
    let number = |at: usize| {
        bytes.get(at..at + 8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap_or_default()))
    };
    let kinds = number(0).context("it is cut off")?;
    let (kind, size) = (kinds as u32, (kinds >> 32) as usize);
    let (inode, a, b) = (number(8), number(16), number(24));
    let (Some(inode), Some(a), Some(b)) = (inode, a, b) else { bail!("it is cut off") };
    let payload = bytes.get(HEAD_BYTES..HEAD_BYTES + size).context("it is cut off")?;
    let text = || String::from_utf8_lossy(payload).into_owned();
    let place = |number: u64| first + number as usize;
    let record = match kind {
        1 => Record::Opened {
            inode,
            path: text().into(),
            was_made: b & WAS_MADE != 0,
            was_emptied: b & WAS_EMPTIED != 0,
            is_folder: b & IS_FOLDER != 0,
        },
        2 => Record::Written { inode, at: a as usize, bytes: payload.into() },
        3 => Record::Cut { inode, length: a as usize },
        4 => Record::Grown { inode, length: (a + b) as usize },
        5 => {
            let names = text();
            let (from, to) = names.split_once('\0').context("a rename of one name")?;
            Record::Renamed { from: from.into(), to: to.into() }
        }
        6 => Record::Unlinked { path: text().into() },
        7 => Record::FolderMade { path: text().into() },
        8 => Record::SyncBegun,
        9 => Record::SyncEnded { inode, begun_at: place(a) },
        10 => Record::Answer { head: text() },
        11 => Record::AnswerFailed { answer_at: place(a) },
        other => bail!("the program did something new to its disk ({other}) that crash images do not know"),
    };
    ensure!(size < 64 << 20, "it is too long");
    Ok((record, HEAD_BYTES + size))
}

/// The id that the program gave to the request that is answered.
pub fn request_id(head: &str) -> Option<&str> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("x-request-id:"))?;
    line.split_once(':').map(|(_, id)| id.trim())
}
