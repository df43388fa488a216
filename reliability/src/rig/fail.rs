//! One call to the system that fails: what the library `preload/fail.c` is told, and what it tells.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

use super::server::Plan;

/// A call that is to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `sync`, `write`, `truncate`, `open` or `rename`.
    pub kind: &'static str,
    /// Only calls of the file of this name.
    pub file: Option<&'static str>,
    /// Which of them, from 1; with 0 none fails and all are counted.
    pub at: u64,
    /// How it fails.
    pub how: How,
    /// Do all later ones of the kind fail as well?
    pub goes_on: bool,
}

impl Fault {
    /// Is it a write that finds no room? That need not end anything.
    pub fn is_for_room(&self) -> bool {
        self.kind == "write" && self.how == How::NoRoom
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The disk does not do it.
    Io,
    /// The disk is full.
    NoRoom,
    /// The quota is used up.
    Quota,
    /// A signal came between; whoever asks again is served.
    Interrupted,
    /// Only half is written.
    Short,
}

impl How {
    /// The number that the system gives it.
    fn errno(self) -> i32 {
        match self {
            Self::Io => rustix::io::Errno::IO.raw_os_error(),
            Self::NoRoom => rustix::io::Errno::NOSPC.raw_os_error(),
            Self::Quota => rustix::io::Errno::DQUOT.raw_os_error(),
            Self::Interrupted => rustix::io::Errno::INTR.raw_os_error(),
            Self::Short => 0,
        }
    }

    /// Is it nothing that anybody should notice?
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Interrupted | Self::Short)
    }
}

/// What the library wrote down. It is read as it stands at that moment.
pub struct Report(PathBuf);

impl Report {
    /// Makes the file, and answers how the program is to be started so that the call fails.
    pub fn prepare(plan: Plan, library: &Path, fault: &Fault) -> anyhow::Result<(Plan, Self)> {
        const BYTES: u64 = 8192;
        let file = plan.folder.join("report");
        std::fs::File::create(&file)?.set_len(BYTES)?;
        let folder = plan.folder.canonicalize()?.join("data");
        let mut plan = plan
            .with("LD_PRELOAD", library.display().to_string())
            .with("POSTHASTE_FAIL_FOLDER", folder.display().to_string())
            .with("POSTHASTE_FAIL_REPORT", file.display().to_string())
            .with("POSTHASTE_FAIL_KIND", fault.kind)
            .with("POSTHASTE_FAIL_AT", fault.at.to_string())
            .with("POSTHASTE_FAIL_ERRNO", fault.how.errno().to_string())
            .with("POSTHASTE_FAIL_ON", u8::from(fault.goes_on).to_string());
        if let Some(name) = fault.file {
            plan = plan.with("POSTHASTE_FAIL_FILE", name);
        }
        Ok((plan, Self(file)))
    }

    /// How many calls of the kind there were.
    pub fn calls(&self) -> anyhow::Result<u64> {
        self.number(0)
    }

    /// How long ago the first call failed, in milliseconds; `None` if none has.
    pub fn failed_ms_ago(&self) -> anyhow::Result<Option<f64>> {
        let failed_ns = self.number(2)?;
        let now = clock_gettime(ClockId::Monotonic);
        let now_ns = now.tv_sec as f64 * 1e9 + now.tv_nsec as f64;
        Ok((failed_ns > 0).then(|| (now_ns - failed_ns as f64) / 1e6))
    }

    /// How many syncs of the same file began after it.
    pub fn synced_after(&self) -> anyhow::Result<u64> {
        self.number(3)
    }

    /// The name of the file that the call was for.
    pub fn file(&self) -> anyhow::Result<String> {
        let bytes = std::fs::read(&self.0)?;
        let path = bytes.get(32..).context("the report is cut off")?;
        let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
        let path = String::from_utf8_lossy(&path[..end]).into_owned();
        Ok(path.rsplit('/').next().unwrap_or_default().to_owned())
    }

    fn number(&self, place: usize) -> anyhow::Result<u64> {
        let bytes = std::fs::read(&self.0)?;
        let bytes = bytes.get(place * 8..place * 8 + 8).context("the report is cut off")?;
        Ok(u64::from_le_bytes(bytes.try_into()?))
    }
}
