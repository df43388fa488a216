//! The real dispatcher in the simulated world: its effects become happenings.

use posthaste_core::policy::QueuedOnDelete;
use posthaste_core::{Attempt, UnixMs};
use posthaste_engine::dispatcher::{Claim, Effect, Input};
use posthaste_store::{CommitFault, EventsRead, RecordBatch};

use crate::lives::{TIDY_EVERY, Written};
use crate::receivers;
use crate::world::{Epoch, Happening, World};

/// Steps without rest that no sound dispatcher makes.
const MOST_STEPS: u32 = 100_000;

#[expect(clippy::expect_used, reason = "reading a store in memory works, or the store is broken")]
impl World {
    /// Is this life still going on?
    fn is_alive(&self, epoch: Epoch) -> bool {
        epoch == self.epoch && self.engine.is_some()
    }

    pub fn wake(&mut self, epoch: Epoch) {
        let now = self.clocks.steady();
        if let (true, Some(engine)) = (epoch == self.epoch, &mut self.engine)
            // Another alarm may have come first and set the next one; each that did so too would make ever more of them.
            && engine.wakes_at.is_some_and(|at| at <= now)
        {
            engine.wakes_at = None;
            self.pump();
        }
    }

    pub fn tell(&mut self, epoch: Epoch, input: Input) {
        if let (true, Some(engine)) = (epoch == self.epoch, &mut self.engine) {
            engine.dispatcher.set_time(self.clocks.steady(), self.clocks.ahead_ms());
            engine.dispatcher.handle(input);
            self.pump();
        }
    }

    pub fn end_attempt(&mut self, epoch: Epoch, claim: Claim, attempt: Attempt) {
        if self.is_alive(epoch) {
            let status = attempt.outcome.status();
            self.note(format_args!("ends {:?} #{} {status:?}", claim.key, attempt.number));
            self.witness.ended(&claim, &attempt, self.clocks.steady());
            self.tell(epoch, Input::Ended(claim, attempt));
        }
    }

    /// A batch reaches the disk, or does not, or does and nobody hears of it.
    pub fn commit(&mut self, epoch: Epoch, batch: RecordBatch) {
        if !self.is_alive(epoch) {
            return;
        }
        self.note(format_args!(
            "records {} attempts, {} spills, {} cancels, off {:?}, checkpoint {:?}",
            batch.attempts.len(),
            batch.spills.len(),
            batch.cancels.len(),
            batch.disable,
            batch.checkpoint
        ));
        let now = self.clocks.true_time;
        if self.dice.chance(self.script.faults.commits) {
            let fault = *self.dice.pick(&[CommitFault::Lost, CommitFault::Kept]);
            self.store.fail_next_commit(fault);
            if fault == CommitFault::Kept {
                self.witness.recorded(&batch, now);
            }
            if self.store.record(batch).is_ok() {
                self.witness.object("a commit failed and the store says that it did not");
            }
            self.lose_commit::<()>();
            return;
        }
        self.witness.recorded(&batch, now);
        let answer = self.store.record(batch);
        match self.hear(answer) {
            Written::Answered(Ok(())) => {
                self.soon(Input::Recorded);
                self.pass_hints_on();
            }
            Written::Answered(Err(error)) => {
                self.witness.object(format!("the store refused a record: {error}"));
            }
            Written::Unanswered(()) | Written::Lost => {}
        }
    }

    pub fn tidy(&mut self, epoch: Epoch) {
        if self.is_alive(epoch) {
            self.keep_house();
            self.agenda.enter(self.clocks.true_time.plus(TIDY_EVERY), Happening::Tidy(epoch));
        }
    }

    /// The process looks at the clock now and then, and keeps house when that was set.
    pub fn see_clock(&mut self, epoch: Epoch) {
        if self.is_alive(epoch) {
            self.keep_house();
            self.witness.clock_set(self.clocks.steady(), self.clocks.ahead_ms(), true);
        }
    }

    /// Housekeeping, all steps of it.
    fn keep_house(&mut self) {
        let drops = self.script.policy.on_delete == QueuedOnDelete::Drop;
        let now = self.clocks.steady();
        let expired_before = self.script.retention.map_or(UnixMs(0), |kept| now.minus(kept));
        self.witness.expired_before = self.witness.expired_before.max(expired_before);
        self.witness.names.forget(now);
        self.witness.note_forgotten();
        while self.store.tidy(expired_before, drops, now).expect("housekeeping works") {}
        self.pass_hints_on();
    }

    /// Hands hints to the engine, less those that get lost.
    pub fn pass_hints_on(&mut self) {
        for hint in self.store.take_hints() {
            if self.dice.chance(self.script.faults.hints) {
                self.tally.count("hint lost");
            } else if self.engine.is_some() {
                self.soon(Input::Hint(hint));
            }
        }
    }

    /// Lets the dispatcher step until it rests.
    pub fn pump(&mut self) {
        for _ in 0..MOST_STEPS {
            let Some(engine) = &mut self.engine else { return };
            engine.dispatcher.set_time(self.clocks.steady(), self.clocks.ahead_ms());
            let step = engine.dispatcher.step(self.clocks.steady());
            for effect in step.effects {
                self.carry_out(effect);
            }
            if !step.has_more {
                self.set_alarm(step.next_due);
                return self.end_if_drained();
            }
        }
        self.witness.object("the dispatcher never rests");
    }

    fn set_alarm(&mut self, due: Option<UnixMs>) {
        let (Some(engine), Some(due)) = (&mut self.engine, due) else { return };
        if engine.wakes_at.is_none_or(|known| due < known) {
            engine.wakes_at = Some(due);
            self.agenda.enter(self.clocks.true_time_of(due), Happening::Wake(self.epoch));
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Attempt(claim) => self.attempt(claim),
            Effect::Record(batch) => {
                let at = self.store_answers_at();
                self.agenda.enter(at, Happening::Commit(self.epoch, Box::new(batch)));
            }
            read => {
                let at = self.store_answers_at();
                self.agenda.enter(at, Happening::Read(self.epoch, Box::new(read)));
            }
        }
    }

    /// What the dispatcher wants to know is read now, and told later.
    pub fn read(&mut self, epoch: Epoch, effect: Effect) {
        if !self.is_alive(epoch) {
            return;
        }
        match effect {
            Effect::LoadEvents { after, room, with_written } => {
                let EventsRead { events, is_end } =
                    self.store.next_events(after, room).expect("the store answers");
                let written = |seq| if with_written { self.store.written(seq) } else { Ok(Vec::new()) };
                let events = events
                    .into_iter()
                    .map(|event| (event.clone(), written(event.seq).expect("the store answers")))
                    .collect();
                self.soon(Input::EventsLoaded { events, is_end });
            }
            Effect::LoadPending(query) => {
                let read = self.store.pending(&query).expect("the store answers");
                self.soon(Input::PendingLoaded { webhook: query.webhook, read });
            }
            Effect::LoadHeads => {
                let heads = self.store.pending_heads().expect("the store answers");
                self.soon(Input::HeadsLoaded(heads));
            }
            Effect::Attempt(_) | Effect::Record(_) => {}
        }
    }

    fn attempt(&mut self, claim: Claim) {
        let faults = &self.script.faults;
        let fate = receivers::fate(&self.dice, faults.network, faults.slowest_way_ms);
        if let Some(fault) = fate.fault {
            self.tally.count(fault);
        }
        self.note(format_args!("attempts {:?} #{}", claim.key, claim.number));
        let mut open = self.witness.owed.open_before(claim.key);
        open.retain(|key| self.is_pending(*key));
        self.witness.started(&claim, self.clocks.steady(), &open);
        let now = self.clocks.true_time;
        if let Some(after) = fate.arrives_after {
            self.agenda.enter(now.plus(after), Happening::Arrive(claim.key));
        }
        let attempt = Attempt {
            number: claim.number,
            started_at: claim.at,
            duration: fate.ends_after,
            outcome: fate.outcome,
            signatures: Vec::new(),
        };
        let ends_at = now.plus(fate.ends_after);
        self.agenda.enter(ends_at, Happening::End(self.epoch, Box::new(claim), Box::new(attempt)));
    }

    fn soon(&mut self, input: Input) {
        let at = self.store_answers_at();
        self.agenda.enter(at, Happening::Tell(self.epoch, Box::new(input)));
    }

    fn store_answers_at(&self) -> UnixMs {
        self.within_ms(self.script.faults.slowest_store_ms)
    }
}
