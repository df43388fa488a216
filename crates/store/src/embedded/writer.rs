//! The one thread that writes. It owns the writing connection; what waits together is made durable together.
//!
//! On the first failed write or commit it stops for good: what is stored then is unknown until the store is opened
//! again. Whoever waits, or comes later, is told so. Only a disk without room is another matter: then it is certain that
//! nothing of the transaction is stored, and the writer goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use posthaste_core::Clock;
use rusqlite::config::DbConfig;
use tokio::sync::mpsc;

use super::leftovers;
use super::own_files::OwnFiles;
use super::replies::{Replies, Reply};
use super::room::{Room, SEEN_TO_EVERY};
use super::settling;
use super::status::Status;
use super::write_back::{self, WriteBack};
use crate::folder::KeyFile;
use crate::ledger::Ledger;
use crate::ledger::trouble::{Outcome, Trouble};
use crate::log_note::LogNote;
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
    /// Nobody asks for anything: see to the files, and go on with what is left of a rotation of the master key.
    Idle,
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
    pub own_files: OwnFiles,
    pub note: LogNote,
    /// How often the next thing that a rotation needs was tried in vain.
    pub tries: u32,
    /// When it was last tried.
    pub gone_on_at: Option<tokio::time::Instant>,
    /// When room and ballast were last seen to.
    pub room_seen_to: Option<tokio::time::Instant>,
}

impl Writer {
    /// Works until it is told to close, everybody who could ask is gone, or a write fails.
    pub fn run(mut self) {
        let _fault = self.status.fail_at_a_panic();
        while let Some(first) = self.next() {
            self.status.rounds[0].fetch_add(1, Ordering::Relaxed);
            let is_idle = matches!(first, Command::Idle);
            let (verbs, is_last) = self.gather(first);
            if let Err(why) =
                self.commit(verbs).and_then(|()| self.look_after(is_idle).map_err(Trouble::told))
            {
                return self.status.fail(&why);
            }
            self.status.rounds[1].fetch_add(1, Ordering::Relaxed);
            if is_last {
                break;
            }
        }
        self.close();
    }

    /// Makes what is asked for durable and answers it. The error is a failure that everybody knows of.
    fn commit(&mut self, verbs: Vec<Verb>) -> Result<(), String> {
        self.status.health()?;
        let pages = || write_back::pages_of(self.ledger.conn());
        self.own_files.refuse_cut(pages).inspect_err(|why| self.status.fail(why))?;
        let mut verbs = verbs.into_iter();
        let mut replies = Replies::default();
        // Goes before them: whoever is not answered must know by then that the store failed.
        let _fault = self.status.fail_at_a_panic();
        let rotation = (self.ledger.left_to_reseal(), self.is_resealing());
        let written = catch_unwind(AssertUnwindSafe(|| self.write(&mut verbs, &mut replies)));
        // Callers may see their verbs and replies go only when it is known why.
        match written.unwrap_or(Err(Trouble::Broken("the writer met a fault of ours"))) {
            // What the other thread could not sync may be part of this; and it may be in no file that has a name.
            Ok(()) => {
                self.status.health().and_then(|()| self.refuse_lost())?;
                self.note_log().map_err(Trouble::told).inspect_err(|why| self.status.fail(why))?;
            }
            Err(trouble) => {
                let goes_on = trouble.is_full() && rotation == (self.ledger.left_to_reseal(), false);
                let taken_back = match goes_on || posthaste_faults::bug("retry-failed-sync") {
                    true => self.take_back(),
                    false => Err(trouble),
                };
                return taken_back.map_err(Trouble::told).inspect_err(|why| self.status.fail(why));
            }
        }
        posthaste_faults::point("store.before-replies");
        replies.give();
        posthaste_faults::point("store.after-replies");
        Ok(())
    }

    /// What is noted is synced; and it is noted before anybody hears of it.
    fn note_log(&mut self) -> Outcome<()> {
        let pages = self.write_back.measure(self.ledger.conn())?;
        self.note.write(pages);
        Ok(())
    }

    /// There was no room for the transaction: nothing of it is stored.
    fn take_back(&mut self) -> Outcome<()> {
        self.room.run_out();
        self.own_files.note_log(0);
        self.ledger.roll_back()?;
        leftovers::cut_log(self.ledger.conn())
    }

    /// What there is to do besides what was asked for.
    fn look_after(&mut self, is_idle: bool) -> Outcome<()> {
        let is_anew = self.write_back.look(self.ledger.conn())?;
        self.ledger.look_at_log(is_anew);
        if !self.room.is_in_order() && self.room_seen_to.is_none_or(|at| at.elapsed() >= SEEN_TO_EVERY) {
            self.room_seen_to = Some(tokio::time::Instant::now());
            if !self.room.is_there() && self.write_back.shorten(self.ledger.conn())? {
                self.ledger.number_log();
            }
            self.room.restore_ballast();
        }
        self.go_on(is_idle)?;
        self.own_files.note_log(self.write_back.pages());
        Ok(())
    }

    /// Whoever replaces a file beneath the store must not have what is written after that taken for stored.
    fn refuse_lost(&self) -> Result<(), String> {
        self.own_files.refuse_lost().inspect_err(|why| self.status.fail(why))
    }

    fn close(self) {
        if self.status.health().is_err() {
            return;
        }
        let Self { mut ledger, write_back, status, own_files, mut note, .. } = self;
        drop(write_back);
        posthaste_faults::point("store.before-last-write-back");
        // What is written back must not meet a file of another time, and SQLite removes a log by its name.
        let pages = || write_back::pages_of(ledger.conn());
        if let Err(why) = own_files.refuse_cut(pages).and_then(|()| own_files.refuse_lost()) {
            return status.fail(&why);
        }
        let is_written_back = match write_back::empty(ledger.conn()) {
            Ok(is_written_back) => is_written_back,
            // What could not be synced is not synced again.
            Err(error) => return status.fail(&format!("the log was not written back at the end: {error}")),
        };
        if is_written_back {
            note.clear();
            match number_after(&mut ledger) {
                Err(trouble) if trouble.is_full() => _ = ledger.roll_back(),
                Err(trouble) => return status.fail(&trouble.told()),
                Ok(()) => {}
            }
        }
        status.close();
        posthaste_faults::point("store.log-numbered");
        // Readers may be in the way; then the log stays and is read at the next opening.
        let conn = ledger.conn();
        match conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            // Now the connection may tidy up behind itself.
            Ok(()) => _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false),
            Err(error) => {
                tracing::error!(%error, "the log was not written back at the end; the next start reads it")
            }
        }
        posthaste_faults::point("store.closed");
    }

    /// What to do next; after a pause there is always something.
    fn next(&mut self) -> Option<Command> {
        let pause = self.pause();
        settling::receive_within(&mut self.queue, pause)
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
        posthaste_faults::point("store.before-batch");
        self.room.make_way();
        self.ledger.begin()?;
        self.ledger.look_at_clock(&*self.clock)?;
        while let Some(verb) = verbs.next() {
            let (reply, outcome) = verb(&mut self.ledger);
            replies.push(reply);
            outcome?;
            if verbs.len() > 0 {
                posthaste_faults::point("store.between-verbs");
            }
        }
        if is_resealing {
            self.ledger.reseal_step()?;
            posthaste_faults::point("store.resealed");
        }
        if posthaste_faults::bug("ack-before-commit") {
            std::mem::take(replies).give();
        }
        let effects = self.ledger.commit()?;
        posthaste_faults::point("store.after-commit");
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

/// What is written after this is of another log: none that was copied before follows upon the file. Only where the file
/// has all of the log before: else a start that finds both takes the file for an older one.
fn number_after(ledger: &mut Ledger) -> Outcome<()> {
    ledger.begin()?;
    ledger.number_log();
    ledger.commit().map(drop)
}

#[cfg(test)]
mod tests;
