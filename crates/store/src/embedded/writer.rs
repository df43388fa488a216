//! The one thread that writes. It owns the writing connection; what waits together is made durable together.
//!
//! On the first failed write or commit it stops for good: what is stored then is unknown until the store is opened
//! again. Whoever waits, or comes later, is told so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_core::Clock;
use tokio::sync::mpsc;

use super::replies::{Replies, Reply};
use super::room::Room;
use super::settling::{self, Hindrance};
use super::write_back::WriteBack;
use crate::error::StoreError;
use crate::folder::KeyFile;
use crate::ledger::Ledger;
use crate::ledger::trouble::Outcome;
use crate::memory::Memory;
use crate::store::Hint;

/// How many commands may wait for the writer; those beyond wait to be let in.
pub(crate) const WAITING_MAX: usize = 8_192;
/// How many commands are made durable in one commit.
const BATCH_COMMANDS_MAX: usize = 1_024;
/// About how many rows are made durable in one commit.
const BATCH_ROWS_MAX: usize = 16_384;
/// Runs inside the transaction, and says whether the writer can go on. The reply is given once all is durable.
pub(crate) type Verb = Box<dyn FnOnce(&mut Ledger) -> (Reply, Outcome<()>) + Send>;

/// What the writer is asked to do.
pub(crate) enum Command {
    /// Something to write, with about how many rows it is.
    Write { verb: Verb, rows: usize },
    /// Finish what came before and end.
    Close,
    /// Nobody asks for anything: go on with what is left of a rotation of the master key.
    Idle,
}

/// Whether the store takes writes, for all who ask.
#[derive(Default)]
pub(crate) struct Status {
    ended: Mutex<Option<Ended>>,
    pub(super) commits: AtomicU64,
    pub(super) hindrance: Mutex<Hindrance>,
}

#[derive(Clone)]
enum Ended {
    Closed,
    Failed(String),
}

impl Status {
    /// How many transactions were committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub fn health(&self) -> Result<(), String> {
        match &*self.lock() {
            None => Ok(()),
            Some(Ended::Closed) => Err("the store is closed".to_owned()),
            Some(Ended::Failed(why)) => Err(why.clone()),
        }
    }

    /// What a caller hears whose command the writer did not answer.
    pub fn error(&self) -> StoreError {
        match &*self.lock() {
            Some(Ended::Failed(why)) => StoreError::Failed(why.clone()),
            _ => StoreError::Unavailable("the store is closed".to_owned()),
        }
    }

    fn fail(&self, why: &str) {
        tracing::error!(why, "the store failed and stops");
        *self.lock() = Some(Ended::Failed(why.to_owned()));
    }

    /// A failure stays one.
    pub fn close(&self) {
        self.lock().get_or_insert(Ended::Closed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything the thread owns.
pub(crate) struct Writer {
    pub ledger: Ledger,
    pub write_back: WriteBack,
    pub queue: mpsc::Receiver<Command>,
    pub memory: Arc<Memory>,
    pub status: Arc<Status>,
    pub listener: Arc<Mutex<Option<mpsc::Sender<Hint>>>>,
    pub clock: Arc<dyn Clock>,
    pub room: Arc<Room>,
    /// Where the master key lies, unless it was handed in.
    pub key_file: Option<KeyFile>,
    /// How often the next thing that a rotation needs was tried in vain.
    pub tries: u32,
}

impl Writer {
    /// Works until it is told to close, everybody who could ask is gone, or a write fails.
    pub fn run(mut self) {
        while let Some(first) = self.next() {
            let is_idle = matches!(first, Command::Idle);
            let (verbs, is_last) = self.gather(first);
            let mut verbs = verbs.into_iter();
            let mut replies = Replies::default();
            let written = catch_unwind(AssertUnwindSafe(|| self.write(&mut verbs, &mut replies)));
            // Only now may the callers see their verbs and replies go.
            match written {
                Ok(Ok(())) => {}
                Ok(Err(trouble)) => return self.status.fail(&StoreError::from(trouble).to_string()),
                Err(_) => return self.status.fail("the writer met a fault of ours"),
            }
            replies.give();
            let looked = self.write_back.look(self.ledger.conn()).and_then(|()| self.go_on(is_idle));
            if let Err(trouble) = looked {
                return self.status.fail(&StoreError::from(trouble).to_string());
            }
            if is_last {
                break;
            }
        }
        self.status.close();
        drop(self.write_back);
        // Readers may be in the way; then the log stays and is read at the next opening.
        let _ = self.ledger.conn().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// What to do next; while a rotation is under way there is always something.
    fn next(&mut self) -> Option<Command> {
        match self.pause() {
            None => self.queue.blocking_recv(),
            Some(pause) => settling::receive_within(&mut self.queue, pause),
        }
    }

    /// What waits besides the first command, up to the bounds of one commit; and whether to close after it.
    fn gather(&mut self, first: Command) -> (Vec<Verb>, bool) {
        let mut verbs = Vec::new();
        let mut rows_total = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Write { verb, rows } => {
                    verbs.push(verb);
                    rows_total += rows;
                }
                Command::Idle => {}
                Command::Close => return (verbs, true),
            }
            let is_full = verbs.len() >= BATCH_COMMANDS_MAX || rows_total >= BATCH_ROWS_MAX;
            next = if is_full { None } else { self.queue.try_recv().ok() };
        }
        (verbs, false)
    }

    /// One transaction. Nobody hears of it, and nothing shows it, before it is durable.
    fn write(&mut self, verbs: &mut std::vec::IntoIter<Verb>, replies: &mut Replies) -> Outcome<()> {
        let is_resealing = self.is_resealing();
        if verbs.len() == 0 && !is_resealing {
            return Ok(());
        }
        self.ledger.begin()?;
        for verb in verbs {
            let (reply, outcome) = verb(&mut self.ledger);
            replies.push(reply);
            outcome?;
        }
        if is_resealing {
            self.ledger.reseal_step()?;
        }
        let effects = self.ledger.commit()?;
        self.status.committed();
        let hints = self.memory.apply(effects);
        self.send(hints);
        Ok(())
    }

    /// A listener that is too slow loses hints; they carry no truth.
    fn send(&self, hints: Vec<Hint>) {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &*listener {
            hints.into_iter().for_each(|hint| _ = listener.try_send(hint));
        }
    }
}
