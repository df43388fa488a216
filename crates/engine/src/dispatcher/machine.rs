//! The state machine: inputs in, effects out.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use posthaste_core::{
    Attempt, DeliveryKey, DeliveryPolicy, Dice, Event, Seq, UnixMs, Webhook, WebhookNo, due_in_steady_time,
};
use posthaste_store::{Hint, PendingQuery, PendingRead, ReadRoom, RecordBatch, Roster};

use super::bodies::Waiting;
use super::fan_out::FanOut;
use super::lane::Lane;
use super::ledger::Ledger;
use super::queues::Queues;
use super::slots::Slots;
use super::turns::Turns;
use crate::bounds::Bounds;

/// What the outside tells the dispatcher.
pub enum Input {
    /// Something became durable.
    Hint(Hint),
    /// An attempt it asked for ended.
    Ended(Claim, Attempt),
    /// The batch it handed out is durable.
    Recorded,
    /// The answer to [`Effect::LoadEvents`].
    EventsLoaded {
        /// The events in order, each with the webhooks that have a row for it.
        events: Vec<(Arc<Event>, Vec<WebhookNo>)>,
        /// Were these all there are?
        is_end: bool,
    },
    /// The answer to [`Effect::LoadPending`].
    PendingLoaded {
        /// The webhook asked about.
        webhook: WebhookNo,
        /// Its rows that are due.
        read: PendingRead,
    },
    /// The answer to [`Effect::LoadHeads`].
    HeadsLoaded(Vec<(WebhookNo, UnixMs)>),
}

/// What the dispatcher wants done. Each answers with one [`Input`].
pub enum Effect {
    /// Make an attempt.
    Attempt(Claim),
    /// Remember a batch. There is at most one at a time.
    Record(RecordBatch),
    /// Read accepted events.
    LoadEvents {
        /// Those after this one.
        after: Seq,
        /// How much.
        room: ReadRoom,
        /// With the webhooks that already have a row?
        with_written: bool,
    },
    /// Read a webhook's pending rows.
    LoadPending(PendingQuery),
    /// Read when each webhook's earliest pending row is due.
    LoadHeads,
}

/// An attempt to make.
#[derive(Clone)]
pub struct Claim {
    /// For this delivery.
    pub key: DeliveryKey,
    /// What to send.
    pub event: Arc<Event>,
    /// To whom, as of now.
    pub webhook: Arc<Webhook>,
    /// Which attempt, from 1.
    pub number: u32,
    /// The time of the attempt by the wall clock: receivers are told it.
    pub at: UnixMs,
    /// How far the wall clock was ahead of steady time then, in milliseconds.
    pub ahead_ms: i64,
    /// Has the delivery a row in the store already?
    pub is_written: bool,
    /// The number of its slot.
    pub slot: u64,
}

/// The outcome of one step.
#[derive(Default)]
pub struct Step {
    /// What to do now, in order.
    pub effects: Vec<Effect>,
    /// Is there more to do at once?
    pub has_more: bool,
    /// When to step again if nothing happens before.
    pub next_due: Option<UnixMs>,
}

/// Decides which attempts to make and when, and what to remember of them.
pub struct Dispatcher {
    pub(super) bounds: Bounds,
    pub(super) policy: DeliveryPolicy,
    pub(super) roster: Arc<Roster>,
    pub(super) dice: Arc<dyn Dice>,
    pub(super) fan_out: FanOut,
    pub(super) lanes: HashMap<WebhookNo, Lane>,
    pub(super) queues: Queues,
    pub(super) ledger: Ledger,
    /// When webhooks' rows in the store are due.
    pub(super) timers: BTreeSet<(UnixMs, WebhookNo)>,
    /// When webhooks may start their next attempt that have had as many as the contract allows.
    pub(super) paced: BTreeSet<(UnixMs, WebhookNo)>,
    /// Webhooks whose rows are to be read.
    pub(super) wanted: VecDeque<WebhookNo>,
    /// Webhooks whose next row has a heavy body and for which there was no room. They are read again in fair turns.
    pub(super) short_of_bytes: Turns,
    pub(super) loads_in_flight: usize,
    /// Deliveries without a row that wait in memory, by when they came.
    pub(super) unwritten: VecDeque<(UnixMs, DeliveryKey)>,
    pub(super) slots: Slots,
    pub(super) waiting: Waiting,
    pub(super) look_around_at: UnixMs,
    /// The time of the latest step.
    pub(super) now: UnixMs,
    /// How far the wall clock is ahead of steady time, in milliseconds.
    pub(super) ahead_ms: i64,
    pub(super) is_draining: bool,
    /// Is there no room for what would have to be remembered?
    pub(super) is_held: bool,
}

impl Dispatcher {
    /// Begins with what the store says after a start.
    #[must_use]
    pub fn new(
        bounds: Bounds,
        policy: DeliveryPolicy,
        roster: Arc<Roster>,
        dice: Arc<dyn Dice>,
        checkpoint: Seq,
    ) -> Self {
        Self {
            bounds,
            policy,
            roster,
            dice,
            fan_out: FanOut::new(checkpoint),
            lanes: HashMap::new(),
            queues: Queues::default(),
            ledger: Ledger::new(checkpoint),
            timers: BTreeSet::new(),
            paced: BTreeSet::new(),
            wanted: VecDeque::new(),
            short_of_bytes: Turns::default(),
            loads_in_flight: 0,
            unwritten: VecDeque::new(),
            slots: Slots::new(&bounds),
            waiting: Waiting::default(),
            look_around_at: UnixMs(0),
            now: UnixMs(0),
            ahead_ms: 0,
            is_draining: false,
            is_held: false,
        }
    }

    /// Takes an input in. Nothing happens before the next step.
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Hint(Hint::Events { after, events }) => {
                self.fan_out.announce(after, events, &self.bounds);
            }
            Input::Hint(Hint::Webhook(no)) => self.webhook_changed(no),
            Input::Ended(claim, attempt) => self.attempt_ended(&claim, attempt),
            Input::Recorded => self.recorded(),
            Input::EventsLoaded { events, is_end } => self.fan_out.loaded(events, is_end),
            Input::PendingLoaded { webhook, read } => self.pending_loaded(webhook, read),
            Input::HeadsLoaded(heads) => {
                for (no, due_at) in heads {
                    self.expect_row(no, due_at);
                }
            }
        }
    }

    /// Says what time it is, for what is taken in, and how far the wall clock is ahead of it now and at the next steps.
    /// Until it is called the two are alike. Only what leaves the process and what came from outside is by the wall
    /// clock.
    pub fn set_time(&mut self, now: UnixMs, ahead_ms: i64) {
        (self.now, self.ahead_ms) = (now, ahead_ms);
    }

    /// Does a bounded amount of work at `now`, which is steady time: it never goes back, and all that waits in here or
    /// in the store waits by it.
    pub fn step(&mut self, now: UnixMs) -> Step {
        self.now = now;
        let mut step = Step::default();
        if self.begins_work() {
            self.look_around(now, &mut step.effects);
            self.fan_out_some(now);
            self.write_overdue(now);
            self.load_some(now, &mut step.effects);
            self.slots.free_slow(now, &self.bounds);
            if !posthaste_faults::bug("dispatcher-starts-nothing") {
                self.end_spacing(now);
                self.start_some(now, &mut step.effects);
            }
        }
        if let Some(batch) = self.ledger.hand_out() {
            step.effects.push(Effect::Record(batch));
        }
        step.has_more = self.begins_work()
            && self.ledger.len() < self.bounds.record
            && (self.has_next() || (self.can_fan_out() && self.fan_out.has_event()));
        // What was started may have made room.
        step.has_more |= self.begins_work() && self.can_read_more();
        step.next_due = self.next_due();
        step
    }

    /// Says whether there is no room for what would have to be remembered of further attempts. As long as that is so
    /// nothing new is begun; what is under way ends and is recorded.
    pub fn set_held(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    fn begins_work(&self) -> bool {
        !self.is_draining && !self.is_held
    }

    /// Starts no attempts any more.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Has [`Dispatcher::drain`] been called?
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// After [`Dispatcher::drain`]: is nothing under way and everything that ended durable?
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let is_forgotten = self.is_draining && posthaste_faults::bug("inflight-forgotten-at-sigterm");
        is_forgotten || (self.slots.under_way() == 0 && self.ledger.is_quiet())
    }

    /// Is nothing owed now: all fanned out, nothing waiting or under way, all durable?
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.fan_out.is_done()
            && self.waiting.deliveries == 0
            && self.loads_in_flight == 0
            && self.wanted.is_empty()
            && self.short_of_bytes.is_empty()
            && self.is_drained()
    }

    /// Attempts under way, and deliveries waiting in memory.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.slots.under_way(), self.waiting.deliveries)
    }

    /// Is something due at `now`, and nothing under way? Between two steps that is so only if something is wrong, or for
    /// as long as the store does not answer. What a read was begun for is not seen: one that never answers does not show.
    #[must_use]
    pub fn is_owing(&self, now: UnixMs) -> bool {
        let is_due = self.timers.first().is_some_and(|(at, _)| *at <= now);
        // What waits because the contract bounds how many attempts start is where it should be.
        let is_spaced = self.paced.first().is_some_and(|(at, _)| *at > now);
        let is_waiting = self.waiting.deliveries > 0 && !is_spaced;
        self.begins_work() && self.slots.under_way() == 0 && (is_waiting || is_due)
    }

    /// The number of the attempt that has been under way longest; 0 if none is.
    #[must_use]
    pub fn oldest_under_way(&self) -> u64 {
        self.slots.oldest()
    }

    /// Asks now and then for what hints may have failed to tell.
    fn look_around(&mut self, now: UnixMs, effects: &mut Vec<Effect>) {
        if now >= self.look_around_at {
            self.look_around_at = now.plus(self.bounds.look_around_every);
            self.fan_out.look_again();
            if !posthaste_faults::bug("pending-not-reread") {
                effects.push(Effect::LoadHeads);
            }
            self.forget_lanes();
        }
    }

    /// Forgets the lanes of webhooks that left the roster.
    fn forget_lanes(&mut self) {
        if self.lanes.len() <= self.roster.len() {
            return;
        }
        let (roster, timers) = (&self.roster, &mut self.timers);
        self.lanes.retain(|no, lane| {
            let is_kept = !lane.is_empty() || roster.get(*no).is_some();
            if let (false, Some(at)) = (is_kept, lane.timer) {
                timers.remove(&(at, *no));
            }
            is_kept
        });
    }

    fn next_due(&self) -> Option<UnixMs> {
        if !self.begins_work() {
            return None;
        }
        let timer = self.timers.first().map(|(at, _)| *at);
        // With a full batch to collect in, nothing more can be written before the one before is durable.
        let oldest = self.unwritten.front().filter(|_| self.can_write_overdue());
        let unwritten = oldest.map(|(since, _)| since.plus(self.bounds.unwritten_for));
        // A slot that becomes free is of interest to those who wait for a turn.
        let slow = self.slots.next_slow(&self.bounds).filter(|_| !self.queues.is_empty());
        let paced = self.paced.first().map(|(at, _)| *at);
        [timer, unwritten, slow, paced, Some(self.look_around_at)].into_iter().flatten().min()
    }

    /// When the first attempt for an event is due by steady time. One that is due at once is never due later than now,
    /// whatever the wall clock showed when it was accepted.
    pub(super) fn due_at(&self, event: &Event) -> UnixMs {
        match event.send_at {
            Some(send_at) => due_in_steady_time(event.seq, event.created_at, send_at, self.ahead_ms),
            None => UnixMs(event.created_at.0.saturating_sub(self.ahead_ms)).min(self.now),
        }
    }

    /// What the wall clock shows.
    pub(super) fn wall_clock(&self) -> UnixMs {
        UnixMs(self.now.0.saturating_add(self.ahead_ms))
    }

    /// The lane of a webhook, made if need be; `None` if there is no such webhook.
    pub(super) fn lane(&mut self, no: WebhookNo) -> Option<&mut Lane> {
        match self.lanes.entry(no) {
            Entry::Occupied(lane) => Some(lane.into_mut()),
            Entry::Vacant(place) => {
                let webhook = self.roster.get(no)?;
                Some(place.insert(Lane::new(&webhook, &self.bounds)))
            }
        }
    }
}
