//! A world from its first to its last happening.

use std::time::Duration;

use crate::check::check;
use crate::script::BEGINNING;
use crate::world::{Happening, World};

/// More happenings than any sound world has: what does not drain by then is stuck.
const MOST_HAPPENINGS: u64 = 400_000;

/// What a run found.
pub struct Report {
    /// Everything that happened, a line each.
    pub trace: String,
    /// What should not have happened.
    pub violations: Vec<String>,
    /// Events acknowledged.
    pub events: usize,
    /// Attempts made.
    pub attempts: u64,
    /// Crashes survived.
    pub crashes: i64,
    /// How long it took in simulated time.
    pub lasted: Duration,
}

/// Runs the world of a seed.
#[must_use]
pub fn run(seed: u64) -> Report {
    let mut world = World::new(seed);
    world.plan();
    let mut happenings = 0;
    while let Some((at, happening)) = world.agenda.next() {
        world.now = world.now.max(at);
        world.happen(happening);
        happenings += 1;
        if happenings > MOST_HAPPENINGS {
            world.witness.object("the world does not come to rest");
            break;
        }
        if world.is_at_rest() {
            break;
        }
    }
    world.finish()
}

impl World {
    /// Enters the beginning and the plan of the faulty part.
    fn plan(&mut self) {
        self.settle_people();
        self.restart();
        let last_ms = i64::try_from(self.script.faulty_for.as_millis()).unwrap_or(i64::MAX);
        let (publishes, acts, crashes) = (self.script.publishes, self.script.acts, self.script.crashes);
        let some_time = |world: &mut Self, happening: Happening| {
            let at = world.now.plus(Duration::from_millis(world.dice.between(0, last_ms).unsigned_abs()));
            world.agenda.enter(at, happening);
        };
        (0..publishes).for_each(|_| some_time(self, Happening::Publish));
        (0..acts).for_each(|_| some_time(self, Happening::Act));
        (0..crashes).for_each(|_| some_time(self, Happening::Crash));
        self.agenda.enter(self.now.plus(self.script.faulty_for + Duration::from_secs(120)), Happening::Heal);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Publish => self.publish(),
            Happening::Act => self.act(),
            Happening::Crash => self.crash(),
            Happening::Restart => self.restart(),
            Happening::Heal => self.heal(),
            Happening::Wake(epoch) => self.wake(epoch),
            Happening::Commit(epoch, batch) => self.commit(epoch, *batch),
            Happening::Tell(epoch, input) => self.tell(epoch, *input),
            Happening::Arrive(key) => {
                self.note(format_args!("arrives {key:?}"));
                self.seen.arrived(key);
            }
            Happening::End(epoch, claim, attempt) => self.end_attempt(epoch, *claim, *attempt),
            Happening::Tidy(epoch) => self.tidy(epoch),
        }
    }

    fn heal(&mut self) {
        self.note(format_args!("heals"));
        self.is_healed = true;
        self.script.fault_rate = 0.0;
        self.script.hint_loss = 0.0;
        self.resume_all();
        if self.engine.is_none() {
            self.restart();
        }
    }

    /// Nothing is owed and nothing is under way.
    fn is_at_rest(&mut self) -> bool {
        self.is_healed
            && self.engine.as_ref().is_some_and(|engine| engine.dispatcher.is_idle())
            && self.store.pending_heads().is_ok_and(|heads| heads.is_empty())
    }

    fn finish(mut self) -> Report {
        check(&mut self);
        Report {
            violations: self.witness.violations.clone(),
            events: self.witness.acknowledged.len(),
            attempts: self.witness.attempts,
            crashes: self.script.crashes,
            lasted: self.now.since(BEGINNING),
            trace: self.trace,
        }
    }
}
