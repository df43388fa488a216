//! A wall clock that a test turns while the program looks at it (`preload/clock.c`).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

const NS_IN_S: i64 = 1_000_000_000;
/// Changes that are remembered for judging what was seen while they came.
const REMEMBERED: usize = 4;

/// What is done to a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    None,
    /// It is set forward by so many milliseconds, or back.
    By(i64),
    /// It is set to this second since 1970.
    To(i64),
    /// From now on it gains so many millionths of a second each second; a million less stops it.
    Rate(i64),
}

/// As in `struct setting`.
#[derive(Debug, Clone, Copy)]
struct Setting {
    shown_ns: i64,
    since_ns: i64,
    rate_ppm: i64,
}

impl Setting {
    fn at(self, counted_ns: i64) -> i64 {
        let passed = i128::from(counted_ns) - i128::from(self.since_ns);
        let gone = passed + passed * i128::from(self.rate_ppm) / 1_000_000;
        i64::try_from(i128::from(self.shown_ns) + gone).unwrap_or(i64::MAX)
    }
}

/// The clock's face: the file that programs look at.
pub struct Face {
    file: File,
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    /// The latest last.
    settings: Vec<Setting>,
    current: u64,
}

impl Face {
    /// A clock that shows the true time, in a file of this folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("clock-face");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.set_len(8 + 2 * 24)?;
        let setting = Setting { shown_ns: now(ClockId::Realtime), since_ns: counted(), rate_ppm: 0 };
        let face = Self { file, path, inner: Mutex::new(Inner { settings: vec![setting], current: 0 }) };
        face.show(&mut face.lock(), setting)?;
        Ok(face)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something to it; what it shows is another time from the return on.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn turn(&self, turn: Turn) -> anyhow::Result<()> {
        let mut inner = self.lock();
        let (since_ns, last) = (counted(), *inner.settings.last().context("no setting")?);
        let (shown_ns, rate_ppm) = match turn {
            Turn::None => return Ok(()),
            Turn::By(ms) => (last.at(since_ns) + ms * 1_000_000, last.rate_ppm),
            Turn::To(second) => (second * NS_IN_S, last.rate_ppm),
            Turn::Rate(rate_ppm) => (last.at(since_ns), rate_ppm),
        };
        self.show(&mut inner, Setting { shown_ns, since_ns, rate_ppm })
    }

    fn show(&self, inner: &mut Inner, setting: Setting) -> anyhow::Result<()> {
        let next = 1 - inner.current;
        let values = [setting.shown_ns, setting.since_ns, setting.rate_ppm];
        let bytes: Vec<u8> = values.into_iter().flat_map(i64::to_ne_bytes).collect();
        self.file.write_all_at(&bytes, 8 + next * 24)?;
        self.file.write_all_at(&next.to_ne_bytes(), 0)?;
        inner.current = next;
        inner.settings.push(setting);
        if inner.settings.len() > REMEMBERED {
            inner.settings.remove(0);
        }
        Ok(())
    }

    /// Has it shown this second within the last so many seconds that were counted? True also if another setting, that
    /// held in that time, would have.
    pub fn has_shown(&self, second: i64, within_s: i64) -> bool {
        let (inner, end) = (self.lock(), counted());
        let start = end - within_s * NS_IN_S;
        inner.settings.iter().enumerate().any(|(place, setting)| {
            let until = inner.settings.get(place + 1).map_or(end, |next| next.since_ns);
            let (from, to) = (setting.at(start.max(setting.since_ns).min(until)), setting.at(until));
            until >= start && (from / NS_IN_S..=to / NS_IN_S).contains(&second)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the machine counted, whatever becomes of wall clocks, in nanoseconds.
fn counted() -> i64 {
    now(ClockId::Monotonic)
}

fn now(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec * NS_IN_S + now.tv_nsec
}
