//! The lives of the process: how it starts, and the ways in which it ends.

use std::time::Duration;

use posthaste_engine::dispatcher::Dispatcher;
use posthaste_store::{Answer, CommitFault, Inline, StoreError};

use crate::check;
use crate::script::TIMEOUT;
use crate::world::{Engine, Epoch, Happening, World};

/// How long a process that is told to end waits for what is under way, beside the time an attempt may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may be before the process is started again, in milliseconds.
const DOWN_MAX_MS: i64 = 60_000;
pub const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What came of something that writes.
pub enum Written<T> {
    /// It was answered.
    Answered(Answer<T>),
    /// It is stored, and the process ended before anybody was answered.
    Unanswered(T),
    /// It failed and is not stored, and the process ended.
    Lost,
}

impl World {
    /// Starts a new life from what the store holds.
    #[expect(
        clippy::expect_used,
        reason = "what a store in memory holds can be read, or the store is broken"
    )]
    pub fn restart(&mut self) {
        if self.engine.is_some() {
            return;
        }
        self.epoch = Epoch(self.epoch.0 + 1);
        if self.epoch.0 > 1 {
            if self.dice.chance(0.2) {
                let by_ms = self.clocks.start_machine(self.ended_at);
                self.note(format_args!("the machine starts anew, steady time moves by {by_ms} ms"));
            }
            self.store.reopen();
            self.witness.clock_set(self.clocks.steady(), self.clocks.ahead_ms(), true);
        }
        self.store.set_almost_full(self.is_disk_full);
        self.store.set_clock(self.clocks.shown()).expect("the store answers");
        if self.store.health().is_err() {
            self.witness.object("the store is not well after it was opened again");
        }
        check::check_recovery(self);
        let checkpoint = self.store.checkpoint().expect("the store answers");
        self.note(format_args!("starts from {checkpoint:?}"));
        let dispatcher = Dispatcher::new(
            self.script.bounds,
            self.script.policy.clone(),
            self.store.roster(),
            self.dice.clone(),
            checkpoint,
        );
        self.engine = Some(Engine { dispatcher, wakes_at: None });
        self.agenda.enter(self.clocks.true_time.plus(TIDY_EVERY), Happening::Tidy(self.epoch));
        self.pump();
    }

    /// The process dies: what it had in memory is gone, what was on its way to receivers is not.
    pub fn crash(&mut self, kind: &'static str) {
        if self.engine.is_none() {
            return;
        }
        self.tally.count(kind);
        self.note(format_args!("{kind}"));
        self.witness.crashed();
        self.end_process();
    }

    fn end_process(&mut self) {
        self.engine = None;
        self.processes_ended += 1;
        self.clocks.end_process();
        self.ended_at = self.clocks.true_time;
        let at = self.within_ms(DOWN_MAX_MS);
        self.agenda.enter(at, Happening::Restart);
    }

    /// The process is told to end: it starts nothing more, and waits for what is under way.
    pub fn shut_down(&mut self) {
        let Some(engine) = &mut self.engine else { return };
        if engine.dispatcher.is_draining() {
            return;
        }
        engine.dispatcher.drain();
        self.tally.count("shutdown");
        self.note(format_args!("is told to end"));
        self.agenda.enter(self.clocks.true_time.plus(TIMEOUT + PATIENCE), Happening::Impatience(self.epoch));
        self.pump();
    }

    /// Ends a process that has nothing under way any more.
    pub fn end_if_drained(&mut self) {
        let is_over = self
            .engine
            .as_ref()
            .is_some_and(|engine| engine.dispatcher.is_draining() && engine.dispatcher.is_drained());
        if is_over {
            self.note(format_args!("has ended in order"));
            self.witness.shut_down();
            self.end_process();
        }
    }

    /// What was still under way is given up.
    pub fn lose_patience(&mut self, epoch: Epoch) {
        let is_meant = epoch == self.epoch;
        if is_meant && self.engine.as_ref().is_some_and(|engine| engine.dispatcher.is_draining()) {
            self.crash("shutdown cut off");
        }
    }

    /// Does something that writes, unless the commit fails or the process dies right after it.
    pub fn write<T>(&mut self, verb: impl FnOnce(&Inline) -> Answer<T>) -> Written<T> {
        if self.dice.chance(self.script.faults.commits) {
            self.store.fail_next_commit(CommitFault::Lost);
            if let Err(error @ (StoreError::Refused(_) | StoreError::StorageFull)) = verb(&self.store) {
                return Written::Answered(Err(error));
            }
            return self.lose_commit();
        }
        let answer = verb(&self.store);
        self.hear(answer)
    }

    /// Lets an answer of the store get to whoever asked, unless the process dies before.
    pub fn hear<T>(&mut self, answer: Answer<T>) -> Written<T> {
        if self.dice.chance(self.script.faults.after_commits)
            && let Ok(done) = answer
        {
            self.crash("crash after a commit");
            return Written::Unanswered(done);
        }
        Written::Answered(answer)
    }

    /// A commit failed: the store says so to everybody from then on, and the process ends.
    pub fn lose_commit<T>(&mut self) -> Written<T> {
        if self.store.health().is_ok() {
            self.witness.object("the store is well after a commit failed");
        }
        self.crash("failed commit");
        Written::Lost
    }
}
