//! The state of a world.

use std::fmt::Write as _;
use std::sync::Arc;

use posthaste_core::{AccountNo, Attempt, DeliveryKey, Seq, UnixMs};
use posthaste_engine::dispatcher::{Claim, Dispatcher, Effect, Input};
use posthaste_store::RecordBatch;

use crate::agenda::Agenda;
use crate::clocks::Clocks;
use crate::dice::SeededDice;
use crate::disk::Disk;
use crate::receivers::Seen;
use crate::script::{BEGINNING, Script};
use crate::tally::Tally;
use crate::witness::Witness;
use crate::words::Call;

/// What can happen.
pub enum Happening {
    /// A product publishes.
    Publish,
    /// A customer or operator does something.
    Act,
    /// The process dies.
    Crash,
    /// The process is told to end.
    Shutdown,
    /// Its patience is over with what is still under way.
    Impatience(Epoch),
    /// It is started again.
    Restart,
    /// Somebody sets the wall clock by so many milliseconds.
    SetClock(i64),
    /// The disk is almost full, or not any more.
    Fill(bool),
    /// Faults stop, what is paused is resumed.
    Heal,
    /// The engine's next due time has come.
    Wake(Epoch),
    /// A batch reaches the disk.
    Commit(Epoch, Box<RecordBatch>),
    /// The store is read.
    Read(Epoch, Box<Effect>),
    /// The store answers, or a hint arrives.
    Tell(Epoch, Box<Input>),
    /// A request reaches its receiver.
    Arrive(DeliveryKey),
    /// An attempt ends at the sender's side.
    End(Epoch, Box<Claim>, Box<Attempt>),
    /// Housekeeping, which comes again.
    Tidy(Epoch),
    /// The process sees that the wall clock was set.
    SeeClock(Epoch),
}

/// Which life of the process: what a former one was waiting for never comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u32);

/// What is wanted of a world beside what its seed says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Tells its story.
    pub is_traced: bool,
    /// Sets the wall clock now and then in every world, not only where the seed says so.
    pub sets_clocks: bool,
    /// Of many worlds: begins no more of them once one failed.
    pub stops: bool,
}

/// A world.
pub struct World {
    pub clocks: Clocks,
    pub dice: Arc<SeededDice>,
    pub script: Script,
    pub store: Disk,
    pub agenda: Agenda<Happening>,
    pub engine: Option<Engine>,
    pub epoch: Epoch,
    pub ended_at: UnixMs,
    pub accounts: Vec<AccountNo>,
    pub seen: Seen,
    pub witness: Witness,
    pub is_healed: bool,
    pub is_disk_full: bool,
    /// Calls whose answer never came: they are repeated.
    pub unanswered: Vec<Call>,
    /// Calls that were answered, with their keys, some of which are used again.
    pub named: Vec<Call>,
    pub last_event: Seq,
    pub tally: Tally,
    pub processes_ended: u64,
    trace: Option<String>,
}

/// One life of the engine.
pub struct Engine {
    pub dispatcher: Dispatcher,
    pub wakes_at: Option<UnixMs>,
}

impl World {
    pub fn new(seed: u64, wishes: Wishes) -> Self {
        let dice = Arc::new(SeededDice::new(seed));
        let script = Script::of(&dice, wishes.sets_clocks);
        Self {
            clocks: Clocks::new(BEGINNING),
            witness: Witness::new(script.policy.clone(), script.people.limits),
            dice,
            script,
            store: Disk::empty(),
            agenda: Agenda::new(),
            engine: None,
            epoch: Epoch(0),
            ended_at: BEGINNING,
            accounts: Vec::new(),
            seen: Seen::default(),
            is_healed: false,
            is_disk_full: false,
            unanswered: Vec::new(),
            named: Vec::new(),
            last_event: Seq(0),
            tally: Tally::default(),
            processes_ended: 0,
            trace: wishes.is_traced.then(String::new),
        }
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{} {what}", self.clocks.true_time.0 - BEGINNING.0);
        }
    }

    /// True time later than now by up to so many milliseconds.
    pub fn within_ms(&self, most_ms: i64) -> UnixMs {
        UnixMs(self.clocks.true_time.0 + self.dice.between(0, most_ms.max(0)))
    }

    /// Takes the story, and keeps the store for the next world.
    pub fn end(self) -> String {
        self.store.put_aside();
        self.trace.unwrap_or_default()
    }
}
