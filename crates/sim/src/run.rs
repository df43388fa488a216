//! A world from its first to its last happening.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use posthaste_core::UnixMs;

use crate::check::check;
use crate::script::BEGINNING;
use crate::tally::Tally;
use crate::world::{Happening, Wishes, World};

/// More happenings than any sound world has: what does not drain by then is stuck.
const MOST_HAPPENINGS: u64 = 400_000;
/// What the engine may take for its own work when faults have stopped, beside what it must wait for.
const DRAIN_SLACK: Duration = Duration::from_mins(15);
/// How soon a process that has nothing to write sees that the wall clock was set.
const SEEN_WITHIN: Duration = Duration::from_secs(1);
/// By how much a wall clock is set, in milliseconds.
const CLOCK_JUMPS_MS: [i64; 5] = [1_000, 61_000, 3_600_000, 86_400_000, 864_000_000];

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Everything that happened, a line each; empty unless it was asked for.
    pub trace: String,
    /// What should not have happened.
    pub violations: Vec<String>,
    /// Events stored.
    pub events: usize,
    /// Attempts made.
    pub attempts: u64,
    /// Attempts repeated because a process ended before their outcome was recorded.
    pub repeated: u64,
    /// Processes that ended, in whichever way.
    pub processes_ended: u64,
    /// Faults by kind.
    pub faults: Tally,
    /// How long it took in simulated time.
    pub lasted: Duration,
}

/// Runs the world of a seed.
#[must_use]
pub fn run(seed: u64, wishes: Wishes) -> Report {
    let world = AssertUnwindSafe(|| live(World::new(seed, wishes)));
    catch_unwind(world)
        .unwrap_or_else(|_| Report { violations: vec!["it panicked".to_owned()], ..Report::default() })
}

fn live(mut world: World) -> Report {
    world.plan();
    let mut happenings = 0;
    while let Some((at, happening)) = world.agenda.next() {
        world.clocks.go_to(at);
        world.happen(happening);
        happenings += 1;
        if happenings > MOST_HAPPENINGS || world.clocks.true_time > world.last_moment() {
            world.witness.object("what is owed does not drain");
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
        let (people, faults) = (&self.script.people, &self.script.faults);
        let counts = [people.publishes, people.acts, faults.crashes, faults.shutdowns];
        let (jumps, full_times) = (faults.clock_jumps, faults.full_times);
        let plan: [fn() -> Happening; 4] =
            [|| Happening::Publish, || Happening::Act, || Happening::Crash, || Happening::Shutdown];
        for (count, happening) in counts.into_iter().zip(plan) {
            (0..count).for_each(|_| self.some_time(happening()));
        }
        for _ in 0..jumps {
            let by_ms = *self.dice.pick(&CLOCK_JUMPS_MS) * *self.dice.pick(&[1, -1]);
            self.some_time(Happening::SetClock(by_ms));
        }
        for is_full in (0..full_times).flat_map(|_| [true, false]) {
            self.some_time(Happening::Fill(is_full));
        }
        self.agenda.enter(self.heals_at(), Happening::Heal);
    }

    fn some_time(&mut self, happening: Happening) {
        let last_ms = i64::try_from(self.script.faulty_for.as_millis()).unwrap_or(i64::MAX);
        let at = self.within_ms(last_ms);
        self.agenda.enter(at, happening);
    }

    fn heals_at(&self) -> UnixMs {
        BEGINNING.plus(self.script.faulty_for + Duration::from_secs(120))
    }

    /// By then everything has drained: what waits for a time has had twice that, a rate its turns, and each delivery twice the
    /// time in which a slow store is asked for it alone and answers.
    fn last_moment(&self) -> UnixMs {
        let policy = &self.script.policy;
        let longest = policy.retry.delays.iter().max().copied().unwrap_or_default().mul_f64(1.1);
        let asked = if policy.retry.honours_retry_after { Duration::from_secs(200) } else { Duration::ZERO };
        let later = Duration::from_secs(900);
        let spacing = policy.rate.map_or(Duration::ZERO, |rate| rate.spacing());
        let turns = spacing * u32::try_from(self.witness.owed.events.len()).unwrap_or(u32::MAX) * 2;
        let answer = Duration::from_millis(self.script.faults.slowest_store_ms.unsigned_abs());
        let reads = answer * 2 * u32::try_from(self.witness.owed.deliveries()).unwrap_or(u32::MAX) * 2;
        self.heals_at().plus(longest.max(asked).max(later) * 2 + turns + reads + DRAIN_SLACK)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Publish => self.publish(),
            Happening::Act => self.act(),
            Happening::Crash if !self.is_healed => self.crash("crash"),
            Happening::Crash => {}
            Happening::Shutdown if !self.is_healed => self.shut_down(),
            Happening::Shutdown => {}
            Happening::Impatience(epoch) => self.lose_patience(epoch),
            Happening::Restart => self.restart(),
            Happening::SetClock(by_ms) => self.set_clock(by_ms),
            Happening::Fill(is_full) => self.fill(is_full),
            Happening::Heal => self.heal(),
            Happening::Wake(epoch) => self.wake(epoch),
            Happening::Commit(epoch, batch) => self.commit(epoch, *batch),
            Happening::Read(epoch, effect) => self.read(epoch, *effect),
            Happening::Tell(epoch, input) => self.tell(epoch, *input),
            Happening::Arrive(key) => {
                self.note(format_args!("arrives {key:?}"));
                self.seen.arrived(key);
            }
            Happening::End(epoch, claim, attempt) => self.end_attempt(epoch, *claim, *attempt),
            Happening::Tidy(epoch) => self.tidy(epoch),
            Happening::SeeClock(epoch) => self.see_clock(epoch),
        }
    }

    fn set_clock(&mut self, by_ms: i64) {
        self.note(format_args!("the wall clock is set by {by_ms} ms"));
        self.tally.count(if by_ms > 0 { "clock set forward" } else { "clock set back" });
        self.witness.is_clock_wrong = true;
        self.clocks.set_wall(by_ms);
        self.clock_was_set();
    }

    fn clock_was_set(&mut self) {
        if self.engine.is_some() {
            self.witness.clock_set(self.clocks.steady(), self.clocks.ahead_ms(), false);
        }
        self.agenda.enter(self.clocks.true_time.plus(SEEN_WITHIN), Happening::SeeClock(self.epoch));
    }

    fn fill(&mut self, is_full: bool) {
        self.note(format_args!("the disk is almost full: {is_full}"));
        if is_full {
            self.tally.count("disk almost full");
        }
        self.is_disk_full = is_full;
        self.store.set_almost_full(is_full);
    }

    fn heal(&mut self) {
        self.note(format_args!("heals"));
        self.is_healed = true;
        self.script.faults.heal();
        self.fill(false);
        self.clocks.set_right();
        self.clock_was_set();
        if self.engine.is_none() {
            self.restart();
        }
        self.resume_all();
        // Whoever got no answer asks once more.
        while !self.unanswered.is_empty() && self.engine.is_some() {
            self.publish();
        }
    }

    /// Nothing is owed and nothing is under way.
    fn is_at_rest(&mut self) -> bool {
        self.is_healed
            && self.engine.as_ref().is_some_and(|engine| engine.dispatcher.is_idle())
            && self.store.checkpoint().is_ok_and(|checkpoint| checkpoint >= self.last_event)
            && self.store.pending_heads().is_ok_and(|heads| heads.is_empty())
    }

    fn finish(mut self) -> Report {
        check(&mut self);
        Report {
            violations: std::mem::take(&mut self.witness.violations),
            events: self.witness.owed.events.len(),
            attempts: self.witness.attempts,
            repeated: self.witness.repeated,
            processes_ended: self.processes_ended,
            faults: self.tally.clone(),
            lasted: self.clocks.true_time.since(BEGINNING),
            trace: self.end(),
        }
    }
}
