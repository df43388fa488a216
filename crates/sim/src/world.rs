//! The state of a world.

use std::fmt::Write as _;
use std::sync::Arc;

use posthaste_core::{AccountNo, Audience, DeliveryKey, Seq, UnixMs, WebhookNo};
use posthaste_engine::dispatcher::{Claim, Dispatcher, Input};
use posthaste_store::Inline;
use posthaste_store::RecordBatch;

use crate::agenda::Agenda;
use crate::dice::SeededDice;
use crate::receivers::Seen;
use crate::script::{BEGINNING, Script};
use crate::witness::Witness;

/// What can happen.
pub enum Happening {
    /// A product publishes.
    Publish,
    /// A customer or operator does something.
    Act,
    /// The process dies.
    Crash,
    /// It is started again.
    Restart,
    /// Faults stop, what is paused is resumed.
    Heal,
    /// The engine's next due time has come.
    Wake(Epoch),
    /// A batch reaches the disk.
    Commit(Epoch, Box<RecordBatch>),
    /// The store answers, or a hint arrives.
    Tell(Epoch, Box<Input>),
    /// A request reaches its receiver.
    Arrive(DeliveryKey),
    /// An attempt ends at the sender's side.
    End(Epoch, Box<Claim>, Box<posthaste_core::Attempt>),
    /// A step of housekeeping.
    Tidy(Epoch),
}

/// Which life of the process: what a former one was waiting for never comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u32);

/// A world.
pub struct World {
    pub now: UnixMs,
    pub dice: Arc<SeededDice>,
    pub script: Script,
    pub store: Inline,
    pub agenda: Agenda<Happening>,
    pub engine: Option<Engine>,
    pub epoch: Epoch,
    pub accounts: Vec<AccountNo>,
    pub webhooks: Vec<WebhookNo>,
    pub seen: Seen,
    pub witness: Witness,
    pub is_healed: bool,
    /// Idempotency keys of calls whose answer never came.
    pub unanswered: Vec<Call>,
    pub last_event: Seq,
    pub trace: String,
}

/// A publish call, kept to repeat it when its answer does not come.
#[derive(Clone)]
pub struct Call {
    pub audience: Audience,
    pub event_type: &'static str,
    pub send_at: Option<UnixMs>,
    pub key: Option<String>,
}

/// One life of the engine.
pub struct Engine {
    pub dispatcher: Dispatcher,
    pub wakes_at: Option<UnixMs>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let dice = Arc::new(SeededDice::new(seed));
        let script = Script::of(&dice);
        Self {
            now: BEGINNING,
            witness: Witness::new(script.policy.clone()),
            dice,
            script,
            store: empty_store(),
            agenda: Agenda::new(),
            engine: None,
            epoch: Epoch(0),
            accounts: Vec::new(),
            webhooks: Vec::new(),
            seen: Seen::default(),
            is_healed: false,
            unanswered: Vec::new(),
            last_event: Seq(0),
            trace: String::new(),
        }
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.trace, "{} {what}", self.now.0 - BEGINNING.0);
    }
}

/// A store with nothing in it.
pub fn empty_store() -> Inline {
    Inline::open_in_memory([7; 16]).expect("an empty store in memory opens")
}
