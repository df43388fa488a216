//! Traces: the real program under load, with everything it did to its disk.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::disk::{Disk, is_passing};
use super::load::{Shared, open};
use super::promise::{Books, Promises};
use super::trace::{self, Record};
use crate::rig::server::{Plan, Server};

const BOOKS_FILE: &str = "books.json";
const DATA_FOLDER: &str = "data";

/// A program that is recorded, over several starts.
pub struct Recorder {
    plan: Plan,
    folder: PathBuf,
    starts: usize,
    /// What callers write down.
    pub books: Shared,
}

impl Recorder {
    /// Records this program with this library in an empty folder.
    ///
    /// # Errors
    /// If the folder cannot be found.
    pub fn new(program: &Path, library: &Path, folder: &Path, bug: Option<&str>) -> anyhow::Result<Self> {
        let folder = folder.canonicalize()?;
        let plan = Plan::new(&program.canonicalize()?, &folder)
            .bug(bug)
            .with("LD_PRELOAD", library.display().to_string())
            .with("POSTHASTE_RECORD_BELOW", folder.display().to_string());
        let books = Shared::default();
        open(&books).is_patient = bug.is_some();
        Ok(Self { plan, folder, starts: 0, books })
    }

    fn next(&mut self) -> Plan {
        let plan = self
            .plan
            .clone()
            .with("POSTHASTE_RECORD", trace_file(&self.folder, self.starts).display().to_string());
        self.starts += 1;
        plan
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.plan.data()
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start(&mut self) -> anyhow::Result<Server> {
        Server::start(&self.next()).await
    }

    /// Starts it to be killed when it asks for its N-th sync; `None` if that was before it was ready.
    pub async fn start_to_die(&mut self, at_sync: u64) -> Option<Server> {
        let plan = self.next().with("POSTHASTE_RECORD_DIE_AT_SYNC", at_sync.to_string());
        Server::start(&plan).await.ok()
    }

    /// The trace of all starts, once the program has ended in order.
    ///
    /// # Errors
    /// If something was done that the trace does not show: then it is worth nothing.
    pub fn end(self) -> anyhow::Result<Trace> {
        let books = serde_json::to_string(&*open(&self.books))?;
        std::fs::write(self.folder.join(BOOKS_FILE), books)?;
        let trace = Trace::read(&self.folder)?;
        trace.compare_with_the_real_files()?;
        Ok(trace)
    }
}

/// A trace with what was promised in it.
pub struct Trace {
    /// The folder that it is kept in; the data folder lay in it.
    pub folder: PathBuf,
    /// What was done, in order.
    pub records: Vec<Record>,
    /// What callers wrote down.
    pub books: Books,
    /// The same by places.
    pub promises: Promises,
    /// The admin token.
    pub token: String,
}

impl Trace {
    /// Reads a trace that is kept in a folder.
    ///
    /// # Errors
    /// If it is not whole.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize()?;
        let files: Vec<PathBuf> =
            (0..).map(|start| trace_file(&folder, start)).take_while(|file| file.is_file()).collect();
        let records = trace::read(&files)?;
        let books: Books = serde_json::from_slice(&std::fs::read(folder.join(BOOKS_FILE))?)?;
        let (promises, unseen) = Promises::of(&books, &records);
        ensure!(unseen == 0, "{unseen} answers reached their callers and are not in the trace");
        let token = std::fs::read_to_string(folder.join(DATA_FOLDER).join("admin.token"));
        let token = token.context("the trace is kept without its data folder")?;
        Ok(Self { folder, records, books, promises, token })
    }

    /// What is rebuilt from the trace must be what lies there: else something bypasses the recorder.
    fn compare_with_the_real_files(&self) -> anyhow::Result<()> {
        let mut disk = Disk::default();
        for (place, record) in self.records.iter().enumerate() {
            disk.take(place, record)?;
        }
        let mut compared = 0;
        for (path, file) in disk.now() {
            let real = std::fs::read(path).with_context(|| path.display().to_string())?;
            ensure!(file.now() == real, "{} is not what the trace makes of it", path.display());
            compared += 1;
        }
        let mut real = 0;
        for entry in std::fs::read_dir(self.folder.join(DATA_FOLDER))? {
            real += usize::from(!is_passing(&entry?.path()));
        }
        ensure!(compared == real, "{real} files are in the data folder, and {compared} of them in the trace");
        Ok(())
    }
}

fn trace_file(folder: &Path, start: usize) -> PathBuf {
    folder.join(format!("trace-{start}"))
}
