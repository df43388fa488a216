//! What may be left on a disk when the power goes.

use std::collections::HashSet;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;

use super::disk::{Change, Disk, File, Names, Node, write};
use crate::dice::Dice;

/// The units in which a write may be torn.
const TORN_AT_BYTES: [usize; 2] = [512, 4096];

/// What becomes of what is not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// All of it is lost.
    Lost,
    /// Nothing is: the process was killed.
    Kept,
    /// Names are lost, and files keep their bytes.
    NamesLost,
    /// Bytes are lost, and names stay.
    BytesLost,
    /// Files are as long as they were to be, with zeros for what was not synced.
    Zeroed,
    /// Of each file only the last change is kept.
    Last,
    /// By chance, each change for itself; writes are torn as well.
    Mixed,
}

impl How {
    /// All ways with their words.
    pub const WORDS: [(Self, &'static str); 7] = [
        (Self::Lost, "lost"),
        (Self::Kept, "kept"),
        (Self::NamesLost, "names-lost"),
        (Self::BytesLost, "bytes-lost"),
        (Self::Zeroed, "zeroed"),
        (Self::Last, "last"),
        (Self::Mixed, "mixed"),
    ];

    /// Of these one is drawn for each image: the most are mixed.
    pub const WAYS: [Self; 10] = [
        Self::Lost,
        Self::Mixed,
        Self::BytesLost,
        Self::Mixed,
        Self::Zeroed,
        Self::Mixed,
        Self::Last,
        Self::Mixed,
        Self::NamesLost,
        Self::Kept,
    ];
}

/// Which image is made at a place of a trace: the same one each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// What becomes of what is not synced.
    pub how: How,
    /// Decides what is left to chance.
    pub seed: u64,
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = How::WORDS.iter().find(|(how, _)| *how == self.how).map_or("", |(_, word)| word);
        write!(formatter, "{word}-{}", self.seed)
    }
}

impl FromStr for Variant {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (word, seed) = text.rsplit_once('-').context("a variant is WAY-SEED")?;
        let how = How::WORDS.iter().find(|(_, known)| *known == word).context("there is no such way")?.0;
        Ok(Self { how, seed: seed.parse()? })
    }
}

/// The files that are left, with their paths and bytes.
pub struct Image(Vec<(PathBuf, Vec<u8>)>);

impl Image {
    /// The image of this variant.
    pub fn of(disk: &Disk, variant: Variant) -> Self {
        let mut chance = Chance::of(variant.seed);
        let names = names(disk, variant.how, &mut chance);
        let is_in_folders = |path: &Path| {
            let mut folders = path.ancestors().skip(1).filter(|folder| disk.is_known_folder(folder));
            folders.all(|folder| names.contains_key(folder))
        };
        let files = names.iter().filter_map(|(path, node)| match node {
            Node::File(no) if is_in_folders(path) => Some((path, disk.files.get(*no)?)),
            _ => None,
        });
        let mut files: Vec<(PathBuf, Vec<u8>)> =
            files.map(|(path, file)| (path.clone(), bytes(file, variant.how, &mut chance))).collect();
        if variant.how != How::Kept {
            start_again(&mut files);
        }
        Self(files)
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Writes the files that were below one folder below another, over what is there of an image before; nothing else
    /// stays there.
    pub fn write(&self, below: &Path, to: &Path) -> std::io::Result<()> {
        let mut kept = HashSet::new();
        for (path, bytes) in &self.0 {
            let path = to.join(path.strip_prefix(below).unwrap_or(path));
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            file.write_all(bytes)?;
            file.set_len(bytes.len() as u64)?;
            kept.extend(path.ancestors().map(Path::to_owned));
        }
        clear(to, &kept)
    }
}

/// Takes away what is in a folder, but for what is kept.
fn clear(folder: &Path, kept: &HashSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, is_folder) = (entry.path(), entry.file_type()?.is_dir());
        match (kept.contains(&path), is_folder) {
            (true, true) => clear(&path, kept)?,
            (true, false) => {}
            (false, true) => std::fs::remove_dir_all(path)?,
            (false, false) => std::fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// What is noted behind the text in this file is legible only until the machine starts again, as it does after the power
/// was gone.
fn start_again(files: &mut [(PathBuf, Vec<u8>)]) {
    const NOTED_IN: &str = "posthaste.lock";
    const TEXT_BYTES: usize = 64;
    let locks = files.iter_mut().filter(|(path, _)| path.ends_with(NOTED_IN));
    locks.for_each(|(_, bytes)| bytes.truncate(TEXT_BYTES));
}

/// What is left to chance in one image.
struct Chance {
    dice: Dice,
    /// Of eight changes so many are kept.
    kept_of_eight: u64,
    torn_at_bytes: usize,
}

impl Chance {
    fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let kept_of_eight = 1 + dice.below(7);
        let unit = dice.below(TORN_AT_BYTES.len() as u64) as usize;
        Self { torn_at_bytes: TORN_AT_BYTES[unit], kept_of_eight, dice }
    }

    fn keeps(&mut self) -> bool {
        self.dice.below(8) < self.kept_of_eight
    }
}

fn names(disk: &Disk, how: How, chance: &mut Chance) -> Names {
    let mut names = disk.synced.clone();
    for (_, naming) in &disk.unsynced {
        let is_kept = match how {
            How::Lost | How::NamesLost => false,
            How::Kept | How::BytesLost | How::Zeroed | How::Last => true,
            How::Mixed => chance.keeps(),
        };
        if is_kept {
            naming.apply(&mut names);
        }
    }
    names
}

fn bytes(file: &File, how: How, chance: &mut Chance) -> Vec<u8> {
    let mut bytes = match how {
        How::Kept | How::NamesLost => return file.now(),
        _ => file.synced.clone(),
    };
    match how {
        How::Zeroed => grow(&mut bytes, file),
        How::Last => {
            if let Some((_, change)) = file.unsynced.last() {
                change.apply(&mut bytes);
            }
        }
        How::Mixed => mix(&mut bytes, file, chance),
        How::Lost | How::BytesLost | How::Kept | How::NamesLost => {}
    }
    bytes
}

/// Makes a file as long as it was to be at its longest.
fn grow(bytes: &mut Vec<u8>, file: &File) {
    for (_, change) in &file.unsynced {
        let length = match change {
            Change::Write { at, bytes } => at + bytes.len(),
            Change::Cut(length) | Change::Grow(length) => *length,
        };
        bytes.resize(bytes.len().max(length), 0);
    }
}

fn mix(bytes: &mut Vec<u8>, file: &File, chance: &mut Chance) {
    if chance.dice.once_in(4) {
        grow(bytes, file);
    }
    for (_, change) in &file.unsynced {
        match change {
            Change::Write { at, bytes: written } if chance.dice.once_in(3) => {
                tear(bytes, *at, written, chance)
            }
            change if chance.keeps() => change.apply(bytes),
            _ => {}
        }
    }
}

/// Writes some of the sectors that a write touches.
fn tear(file: &mut Vec<u8>, at: usize, bytes: &[u8], chance: &mut Chance) {
    let mut rest = bytes;
    let mut at = at;
    while !rest.is_empty() {
        let to_the_next = chance.torn_at_bytes - at % chance.torn_at_bytes;
        let (part, behind) = rest.split_at(to_the_next.min(rest.len()));
        if chance.keeps() {
            write(file, at, part);
        }
        at += part.len();
        rest = behind;
    }
}
