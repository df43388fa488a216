//! One webhook's deliveries in memory.

use std::collections::BTreeSet;

use posthaste_core::{Chain, Health, Seq, UnixMs, Webhook, WebhookState};
use posthaste_store::PendingRow;

use super::bodies::is_heavy;
use super::line::{Job, Line, Source};
use super::pace::Pace;
use super::slots::{Need, Standing};
use crate::bounds::Bounds;

/// Which of a webhook's queues wait for a turn.
#[derive(Debug, Default)]
pub struct Queued {
    fresh: Option<Need>,
    backlog: Option<Need>,
}

impl Queued {
    /// What the first from there waits for, if it does.
    pub fn of(&self, source: Source) -> Option<Need> {
        match source {
            Source::Fresh => self.fresh,
            Source::Backlog => self.backlog,
        }
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, source: Source) -> &mut Option<Need> {
        match source {
            Source::Fresh => &mut self.fresh,
            Source::Backlog => &mut self.backlog,
        }
    }
}

/// What the engine knows of one webhook.
pub struct Lane {
    /// Deliveries to start.
    pub waiting: Line,
    /// Attempts under way.
    pub in_flight: usize,
    /// The bytes of their heavy bodies.
    pub in_flight_bytes: usize,
    /// The chains of those under way that have an ordering key.
    pub chains_in_flight: Vec<Chain>,
    /// Every delivery in memory: waiting, under way, or ended and not yet recorded. Rows of these are not loaded.
    pub known: BTreeSet<Seq>,
    /// Is it in the queues of turns: with the first of its fresh deliveries, and with that of its backlog?
    pub has_turn: Queued,
    /// When the earliest pending row that is not in memory is due.
    pub stored_due: Option<UnixMs>,
    /// The entry of `stored_due` in the index of due times.
    pub timer: Option<UnixMs>,
    /// Is a read of its pending rows wanted or under way?
    pub is_loading: bool,
    /// What the latest read is, or was, for.
    pub reads_for: Source,
    /// When the first delivery became due that fan-out had no room for here. Rows of the store that became due since and were
    /// never attempted are fresh ones, and the newest of them are read in turn with the oldest of all.
    overflowed_at: Option<UnixMs>,
    /// Deliveries that are left to the store, and whose rows are not durable yet.
    leaving: BTreeSet<Seq>,
    /// May there be fresh rows in the store that the latest read of the newest has not seen, or had no room for?
    has_unread: bool,
    /// While a read is under way, the deliveries recorded since it began: what it says of them is old.
    settled_while_reading: Option<BTreeSet<Seq>>,
    /// Was something due announced while the read was under way? Then it has to be repeated.
    pub look_again: bool,
    /// Was the webhook changed while the read was under way? Then what it found may have been canceled since.
    pub reads_in_vain: bool,
    /// How many attempts may be under way now; halves with each failure, doubles with each success. It begins with
    /// one: a webhook that was not heard of since the start may be one that hangs.
    pub window: usize,
    /// How many more attempts go one after the other, because the webhook was resumed: what was held arrives in order
    /// of age, and a receiver that has just come back does not get all of it at one time.
    one_by_one: usize,
    /// The spacing of its attempts, where the contract bounds how many start.
    pub pace: Pace,
    /// When the spacing allows the next one; `None` if it does now.
    pub paced_until: Option<UnixMs>,
    /// The webhook's running record.
    pub health: Health,
    seen_state: WebhookState,
    seen_updated_at: UnixMs,
}

impl Lane {
    /// An empty lane for a webhook as the roster has it.
    pub fn new(webhook: &Webhook, bounds: &Bounds) -> Self {
        Self {
            waiting: Line::default(),
            in_flight: 0,
            in_flight_bytes: 0,
            chains_in_flight: Vec::new(),
            known: BTreeSet::new(),
            has_turn: Queued::default(),
            stored_due: None,
            timer: None,
            is_loading: false,
            reads_for: Source::Fresh,
            overflowed_at: None,
            leaving: BTreeSet::new(),
            has_unread: false,
            settled_while_reading: None,
            look_again: false,
            reads_in_vain: false,
            window: first_window(bounds),
            one_by_one: 0,
            pace: Pace::default(),
            paced_until: None,
            health: webhook.health,
            seen_state: webhook.state,
            seen_updated_at: webhook.updated_at,
        }
    }

    /// Takes note of the webhook's present state, and answers whether it was switched on. One that was starts with a
    /// clean record.
    #[must_use]
    pub fn see(&mut self, webhook: &Webhook, bounds: &Bounds) -> bool {
        let is_switched_on = self.seen_state != webhook.state && webhook.state == WebhookState::Active;
        if is_switched_on {
            self.health.consecutive_failures = 0;
            // What was held goes out by age, whatever there was no room for before.
            self.overflowed_at = None;
            self.one_by_one = bounds.one_by_one_after_resume;
            if self.one_by_one > 0 {
                self.window = 1;
            }
        }
        self.seen_state = webhook.state;
        is_switched_on
    }

    /// Has the webhook been changed since this was last asked? It may have been off and on again in between.
    pub fn sees_change(&mut self, webhook: &Webhook) -> bool {
        std::mem::replace(&mut self.seen_updated_at, webhook.updated_at) != webhook.updated_at
    }

    /// How many more deliveries from there may wait in memory. Half of the room is kept for fresh ones.
    pub fn room(&self, source: Source, bounds: &Bounds) -> usize {
        let waits_behind = posthaste_faults::bug("fresh-wait-behind-backlog") && self.stored_due.is_some();
        match source {
            Source::Fresh if !waits_behind => self.capacity(bounds).saturating_sub(self.waiting.len()),
            _ => self.most_backlog(bounds).saturating_sub(self.waiting.count(Source::Backlog)),
        }
    }

    /// Are there rows in the store that nobody is about to read, and has the lane emptied by half?
    pub fn wants_rows(&self, bounds: &Bounds) -> bool {
        let is_forgotten = self.stored_due.is_some() && self.timer.is_none() && !self.is_loading;
        let has_room = self.waiting.count(Source::Backlog) <= self.most_backlog(bounds) / 2;
        is_forgotten && (has_room || self.wants_newest(bounds))
    }

    /// What to read next, and how much of it, at most `most`; `None` if there is no room.
    pub fn next_read(&self, most: usize, bounds: &Bounds) -> Option<(Source, usize)> {
        let oldest = self.room(Source::Backlog, bounds);
        let is_hungry = self.waiting.count(Source::Backlog) <= self.most_backlog(bounds) / 2;
        let is_turn_of_newest = self.reads_for == Source::Backlog || !is_hungry;
        if is_turn_of_newest && self.wants_newest(bounds) {
            return Some((Source::Fresh, most.min(self.room_for_newest(bounds))));
        }
        (oldest > 0).then(|| (Source::Backlog, most.min(oldest)))
    }

    /// Are there fresh deliveries in the store, and room for them?
    fn wants_newest(&self, bounds: &Bounds) -> bool {
        let is_wanted = self.overflowed_at.is_some()
            && self.has_unread
            && !posthaste_faults::bug("fresh-wait-behind-backlog");
        let is_emptied_by_half = self.waiting.count(Source::Fresh) <= self.most_backlog(bounds) / 2;
        is_wanted && is_emptied_by_half && self.room_for_newest(bounds) > 0
    }

    /// How many of the newest rows have room beside a full backlog: with more, the latest of them would be given back.
    fn room_for_newest(&self, bounds: &Bounds) -> usize {
        let beside_backlog = self.most_backlog(bounds).saturating_sub(self.waiting.count(Source::Fresh));
        beside_backlog.min(self.room(Source::Fresh, bounds))
    }

    /// Leaves the oldest of the newest rows to the store if fan-out has taken their room since the read began.
    pub fn leave_beyond_room(&mut self, newest_first: &mut Vec<PendingRow>, bounds: &Bounds) {
        let room = self.room(Source::Fresh, bounds).min(newest_first.len());
        if let Some(oldest) = newest_first.split_off(room).last() {
            self.expect_row(oldest.due_at);
        }
    }

    /// A read from there begins: it sees what was written by now.
    pub fn begins_to_read(&mut self, source: Source) {
        self.reads_for = source;
        self.settled_while_reading = Some(BTreeSet::new());
        self.has_unread &= source == Source::Backlog;
    }

    /// The read has ended. Answers which deliveries were recorded since it began.
    pub fn ends_to_read(&mut self) -> BTreeSet<Seq> {
        self.is_loading = false;
        self.settled_while_reading.take().unwrap_or_default()
    }

    /// A read found so many rows that were not in memory, and came to the end of what it was for if `is_all`.
    pub fn has_read(&mut self, new: usize, is_all: bool) {
        // What is being written now is in the store and no read has seen it.
        let is_known = match self.reads_for {
            Source::Fresh => {
                self.has_unread |= new > 0 || !is_all;
                !self.has_unread && self.leaving.is_empty()
            }
            Source::Backlog => is_all && self.is_durable(),
        };
        if is_known {
            self.overflowed_at = None;
        }
    }

    /// What the read found is not taken up.
    pub fn has_read_in_vain(&mut self) {
        self.has_unread = true;
    }

    /// A delivery is left to the store. Until its row is durable it counts as known: a read that finds the row before we hear
    /// that it is written must not take it up.
    pub fn leave(&mut self, event: Seq) {
        self.known.insert(event);
        self.leaving.insert(event);
    }

    /// A delivery is recorded: it is the store's now.
    pub fn recorded(&mut self, event: Seq) {
        self.known.remove(&event);
        self.has_unread |= self.leaving.remove(&event);
        if let Some(settled) = &mut self.settled_while_reading {
            settled.insert(event);
        }
    }

    /// There is no room for a fresh delivery that became due then: it waits in the store.
    pub fn overflow(&mut self, due_at: UnixMs) {
        self.overflowed_at = Some(self.overflowed_at.map_or(due_at, |first| first.min(due_at)));
    }

    /// Fresh deliveries that wait with rows go back to the store, and stay fresh.
    pub fn overflow_again(&mut self) {
        if let Some(due_at) = self.waiting.first_written_due(Source::Fresh) {
            self.give_back(due_at);
        }
    }

    /// A fresh delivery with a row goes back to the store.
    fn give_back(&mut self, due_at: UnixMs) {
        self.overflow(due_at);
        self.has_unread = true;
    }

    /// Is a row that became due then, and was never attempted, a fresh one? While those of fresh deliveries are being
    /// written, the newest are others.
    pub fn is_fresh(&self, due_at: UnixMs) -> bool {
        self.overflowed_at.is_some_and(|first| first <= due_at)
    }

    /// Is nothing being recorded that was or will be a row?
    pub fn is_durable(&self) -> bool {
        self.known.len() <= self.waiting.len() + self.in_flight
    }

    /// Shrinks and grows with the window: what cannot be sent soon waits in the store and takes nobody's place.
    fn capacity(&self, bounds: &Bounds) -> usize {
        if posthaste_faults::bug("backlog-all-in-memory") {
            return usize::MAX;
        }
        let share = bounds.lane.saturating_mul(self.window) / bounds.in_flight_per_webhook.max(1);
        share.clamp(bounds.failing_lane.min(bounds.lane), bounds.lane)
    }

    fn most_backlog(&self, bounds: &Bounds) -> usize {
        (self.capacity(bounds) / 2).max(1)
    }

    /// Do more wait than may?
    pub fn has_too_many(&self, bounds: &Bounds) -> bool {
        self.too_many(bounds).is_some()
    }

    fn too_many(&self, bounds: &Bounds) -> Option<Source> {
        if self.waiting.count(Source::Backlog) > self.most_backlog(bounds) {
            return Some(Source::Backlog);
        }
        (self.waiting.len() > self.capacity(bounds)).then_some(Source::Fresh)
    }

    /// Takes a delivery out if there are more than may wait; only one with a row, so that nothing is written.
    pub fn shed(&mut self, bounds: &Bounds) -> Option<(Job, Source)> {
        let source = self.too_many(bounds)?;
        let job = self.waiting.take_last_written(source)?;
        if source == Source::Fresh {
            self.give_back(job.due_at);
        }
        Some((job, source))
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

    /// May an attempt be started with the first from there? A heavy one goes alone where there are enough bytes of such
    /// already.
    pub fn can_start(&self, source: Source, bounds: &Bounds) -> bool {
        let Some(next) = self.waiting.first(source) else { return false };
        let has_bytes = self.in_flight_bytes == 0
            || self.in_flight_bytes < bounds.in_flight_bytes_per_webhook
            || !is_heavy(&next.event, bounds);
        has_bytes && self.in_flight < self.window && self.paced_until.is_none()
    }

    /// Would a row that is read now start as soon as there is a slot? Nothing waits in front of it, and neither the window
    /// nor the contract's rate is in its way.
    pub fn can_go_on(&self) -> bool {
        self.waiting.is_empty() && self.in_flight < self.window && self.paced_until.is_none()
    }

    /// Narrows or widens the window after an ended attempt.
    pub fn adapt(&mut self, succeeded: bool, bounds: &Bounds) {
        if self.one_by_one > 0 {
            self.one_by_one -= 1;
            return;
        }
        self.window = if posthaste_faults::bug("no-slow-start") {
            bounds.in_flight_per_webhook
        } else if succeeded {
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

/// How many attempts there may be to a webhook that was not heard of since the start.
fn first_window(bounds: &Bounds) -> usize {
    if posthaste_faults::bug("no-slow-start") { bounds.in_flight_per_webhook } else { 1 }
}
