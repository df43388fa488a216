//! One webhook's deliveries in memory.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use posthaste_core::{DeliveryKey, Event, Health, Seq, UnixMs, Webhook, WebhookState};

use super::bodies::is_heavy;
use super::slots::Standing;
use crate::bounds::Bounds;

/// A delivery that waits for its next attempt.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which delivery.
    pub key: DeliveryKey,
    /// What it carries.
    pub event: Arc<Event>,
    /// Attempts made before.
    pub attempts: u32,
    /// Has it a row in the store? If not, the checkpoint waits for it.
    pub is_written: bool,
}

/// What the engine knows of one webhook.
pub struct Lane {
    /// Deliveries to start, in order.
    pub waiting: VecDeque<Job>,
    /// Attempts under way.
    pub in_flight: usize,
    /// The bytes of their heavy bodies.
    pub in_flight_bytes: usize,
    /// Every delivery in memory: waiting, under way, or ended and not yet recorded. Rows of these are not loaded.
    pub known: BTreeSet<Seq>,
    /// Is it in the queue of turns?
    pub has_turn: bool,
    /// When the earliest pending row that is not in memory is due.
    pub stored_due: Option<UnixMs>,
    /// The entry of `stored_due` in the index of due times.
    pub timer: Option<UnixMs>,
    /// Is a read of its pending rows wanted or under way?
    pub is_loading: bool,
    /// Deliveries recorded while the read was under way: what it says of them is old.
    pub settled_while_loading: BTreeSet<Seq>,
    /// Was something due announced while the read was under way? Then it has to be repeated.
    pub look_again: bool,
    /// How many attempts may be under way now; halves with each failure, doubles with each success. It begins with
    /// one: a webhook that was not heard of since the start may be one that hangs.
    pub window: usize,
    /// How many more attempts go one after the other, because the webhook was resumed: what was held arrives in order
    /// of age, and a receiver that has just come back does not get all of it at one time.
    one_by_one: usize,
    /// The webhook's running record.
    pub health: Health,
    seen_state: WebhookState,
}

impl Lane {
    /// An empty lane for a webhook as the roster has it.
    pub fn new(webhook: &Webhook) -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: 0,
            in_flight_bytes: 0,
            known: BTreeSet::new(),
            has_turn: false,
            stored_due: None,
            timer: None,
            is_loading: false,
            settled_while_loading: BTreeSet::new(),
            look_again: false,
            window: 1,
            one_by_one: 0,
            health: webhook.health,
            seen_state: webhook.state,
        }
    }

    /// Takes note of the webhook's present state. One that was switched on again starts with a clean record.
    pub fn see(&mut self, webhook: &Webhook, bounds: &Bounds) {
        if self.seen_state != webhook.state && webhook.state == WebhookState::Active {
            self.health.consecutive_failures = 0;
            self.one_by_one = bounds.one_by_one_after_resume;
            if self.one_by_one > 0 {
                self.window = 1;
            }
        }
        self.seen_state = webhook.state;
    }

    /// How many more deliveries may wait in memory.
    pub fn room(&self, bounds: &Bounds) -> usize {
        self.capacity(bounds).saturating_sub(self.waiting.len())
    }

    /// Are there rows in the store that nobody is about to read, and has the lane emptied by half?
    pub fn wants_rows(&self, bounds: &Bounds) -> bool {
        let is_forgotten = self.stored_due.is_some() && self.timer.is_none() && !self.is_loading;
        is_forgotten && self.waiting.len() <= self.capacity(bounds) / 2
    }

    /// Shrinks and grows with the window: what cannot be sent soon waits in the store and takes nobody's place.
    fn capacity(&self, bounds: &Bounds) -> usize {
        let share = bounds.lane.saturating_mul(self.window) / bounds.in_flight_per_webhook.max(1);
        share.clamp(bounds.failing_lane.min(bounds.lane), bounds.lane)
    }

    /// Takes the last delivery out if there are more than may wait; only one with a row, so that nothing is written.
    pub fn shed(&mut self, bounds: &Bounds) -> Option<Job> {
        let is_over = self.waiting.len() > self.capacity(bounds);
        self.waiting.pop_back_if(|job| is_over && job.is_written)
    }

    /// Is there nothing in it that anybody will ask about?
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.waiting.is_empty() && self.in_flight == 0 && !self.is_loading
    }

    /// How its latest attempts went. Where there was none yet nobody knows how the next one goes.
    pub fn standing(&self, bounds: &Bounds) -> Standing {
        let is_failing = self.window == 1 && bounds.in_flight_per_webhook > 1;
        if is_failing { Standing::Failing } else { Standing::Well }
    }

    /// May an attempt be started? A heavy one goes alone where there are enough bytes of such already.
    pub fn can_start(&self, bounds: &Bounds) -> bool {
        let Some(next) = self.waiting.front() else { return false };
        let has_bytes = self.in_flight_bytes == 0
            || self.in_flight_bytes < bounds.in_flight_bytes_per_webhook
            || !is_heavy(&next.event, bounds);
        has_bytes && self.in_flight < self.window
    }

    /// Narrows or widens the window after an ended attempt.
    pub fn adapt(&mut self, succeeded: bool, bounds: &Bounds) {
        if self.one_by_one > 0 {
            self.one_by_one -= 1;
            return;
        }
        self.window = if succeeded {
            (self.window * 2).min(bounds.in_flight_per_webhook)
        } else {
            (self.window / 2).max(1)
        };
    }

    /// Notes that a pending row outside memory is due at `at`.
    pub fn expect_row(&mut self, at: UnixMs) {
        self.stored_due = Some(self.stored_due.map_or(at, |known| known.min(at)));
    }
}
