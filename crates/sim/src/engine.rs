//! The real dispatcher in the simulated world: its effects become happenings.

use std::time::Duration;

use posthaste_core::{Attempt, UnixMs};
use posthaste_engine::dispatcher::{Claim, Dispatcher, Effect, Input};
use posthaste_store::RecordBatch;

use crate::receivers;
use crate::world::{Engine, Epoch, Happening, World, empty_store};

/// Steps without rest that no sound dispatcher makes.
const MOST_STEPS: u32 = 100_000;
const TIDY_EVERY: Duration = Duration::from_secs(60);

impl World {
    /// Starts a new life from what the store holds.
    pub fn restart(&mut self) {
        if self.engine.is_some() {
            return;
        }
        self.epoch = Epoch(self.epoch.0 + 1);
        let died = std::mem::replace(&mut self.store, empty_store());
        self.store = died.reopened().expect("the store opens again");
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
        self.agenda.enter(self.now.plus(TIDY_EVERY), Happening::Tidy(self.epoch));
        self.pump();
    }

    /// The process dies: what it had in memory is gone, what was on its way to receivers is not.
    pub fn crash(&mut self) {
        if self.is_healed || self.engine.take().is_none() {
            return;
        }
        self.note(format_args!("crashes"));
        self.witness.crashed();
        let down = Duration::from_millis(self.dice.between(0, 60_000).unsigned_abs());
        self.agenda.enter(self.now.plus(down), Happening::Restart);
    }

    pub fn wake(&mut self, epoch: Epoch) {
        if let (true, Some(engine)) = (epoch == self.epoch, &mut self.engine) {
            engine.wakes_at = None;
            self.pump();
        }
    }

    pub fn tell(&mut self, epoch: Epoch, input: Input) {
        if let (true, Some(engine)) = (epoch == self.epoch, &mut self.engine) {
            engine.dispatcher.handle(input);
            self.pump();
        }
    }

    pub fn end_attempt(&mut self, epoch: Epoch, claim: Claim, attempt: Attempt) {
        if epoch == self.epoch && self.engine.is_some() {
            self.note(format_args!(
                "ends {:?} #{} {:?}",
                claim.key,
                attempt.number,
                attempt.outcome.status()
            ));
            self.witness.ended(&claim, &attempt);
            self.tell(epoch, Input::Ended(claim, attempt));
        }
    }

    pub fn commit(&mut self, epoch: Epoch, batch: RecordBatch) {
        if epoch != self.epoch || self.engine.is_none() {
            return;
        }
        self.note(format_args!(
            "records {} attempts, {} spills, {} cancels, checkpoint {:?}",
            batch.attempts.len(),
            batch.spills.len(),
            batch.cancels.len(),
            batch.checkpoint
        ));
        self.witness.recorded(&batch);
        if let Err(error) = self.store.record(batch) {
            self.witness.object(&format!("the store refused a record: {error}"));
        }
        self.soon(Input::Recorded);
        self.pass_hints_on();
    }

    pub fn tidy(&mut self, epoch: Epoch) {
        if epoch != self.epoch || self.engine.is_none() {
            return;
        }
        let drops = self.script.policy.on_delete == posthaste_core::policy::QueuedOnDelete::Drop;
        let expired_before = self.script.retention.map_or(UnixMs(0), |kept| self.now.minus(kept));
        while self.store.tidy(expired_before, drops, self.now).expect("housekeeping works") {}
        self.pass_hints_on();
        self.agenda.enter(self.now.plus(TIDY_EVERY), Happening::Tidy(self.epoch));
    }

    /// Hands hints to the engine, less those that get lost.
    pub fn pass_hints_on(&mut self) {
        for hint in self.store.take_hints() {
            if self.engine.is_some() && !self.dice.chance(self.script.hint_loss) {
                self.soon(Input::Hint(hint));
            }
        }
    }

    /// Lets the dispatcher step until it rests.
    fn pump(&mut self) {
        for _ in 0..MOST_STEPS {
            let Some(engine) = &mut self.engine else { return };
            let step = engine.dispatcher.step(self.now);
            for effect in step.effects {
                self.carry_out(effect);
            }
            if !step.has_more {
                return self.set_alarm(step.next_due);
            }
        }
        self.witness.object("the dispatcher never rests");
    }

    fn set_alarm(&mut self, due: Option<UnixMs>) {
        let (Some(engine), Some(due)) = (&mut self.engine, due) else { return };
        if engine.wakes_at.is_none_or(|known| due < known) {
            engine.wakes_at = Some(due);
            self.agenda.enter(due.max(self.now), Happening::Wake(self.epoch));
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Attempt(claim) => self.attempt(claim),
            Effect::Record(batch) => {
                let at = self.later();
                self.agenda.enter(at, Happening::Commit(self.epoch, Box::new(batch)));
            }
            Effect::LoadEvents { after, limit, with_written } => {
                let events = self.store.events_after(after, limit).expect("the store answers");
                let is_end = events.len() < limit;
                let written = |seq| if with_written { self.store.written(seq) } else { Ok(Vec::new()) };
                let events = events
                    .into_iter()
                    .map(|event| (event.clone(), written(event.seq).expect("the store answers")))
                    .collect();
                self.soon(Input::EventsLoaded { events, is_end });
            }
            Effect::LoadPending { webhook, until, limit, newest } => {
                let read = match newest {
                    true => self.store.newest_pending(webhook, until, limit).map(|rows| (rows, None)),
                    false => self.store.pending(webhook, until, limit),
                };
                let (rows, next) = read.expect("the store answers");
                self.soon(Input::PendingLoaded { webhook, rows, next });
            }
            Effect::LoadHeads => {
                let heads = self.store.pending_heads().expect("the store answers");
                self.soon(Input::HeadsLoaded(heads));
            }
        }
    }

    fn attempt(&mut self, claim: Claim) {
        let fate = receivers::fate(&self.dice, self.script.fault_rate, self.script.slowest_ms);
        self.note(format_args!("attempts {:?} #{}", claim.key, claim.number));
        self.witness.started(&claim, self.now);
        if let Some(after) = fate.arrives_after {
            self.agenda.enter(self.now.plus(after), Happening::Arrive(claim.key));
        }
        let attempt = Attempt {
            number: claim.number,
            started_at: claim.at,
            duration: fate.ends_after,
            outcome: fate.outcome,
            signatures: Vec::new(),
        };
        let ends_at = self.now.plus(fate.ends_after);
        self.agenda.enter(ends_at, Happening::End(self.epoch, Box::new(claim), Box::new(attempt)));
    }

    fn soon(&mut self, input: Input) {
        let at = self.later();
        self.agenda.enter(at, Happening::Tell(self.epoch, Box::new(input)));
    }

    fn later(&self) -> UnixMs {
        self.now
            .plus(Duration::from_millis(self.dice.between(0, self.script.slowest_ms.min(100)).unsigned_abs()))
    }
}
