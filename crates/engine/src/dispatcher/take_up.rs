//! How deliveries come into memory: by fan-out, or out of the store.

use std::collections::HashMap;
use std::sync::Arc;

use posthaste_core::delivery::reasons;
use posthaste_core::{AccountNo, DeliveryKey, Event, UnixMs, Webhook, WebhookNo};
use posthaste_store::{PendingQuery, PendingRead, PendingRow, ReadRoom, Spill};

use super::bodies::{Waiting, is_heavy};
use super::lane::Lane;
use super::line::{Job, Source};
use super::machine::{Dispatcher, Effect};
use super::settle::no_retry_reason;
use super::slots::Standing;
use crate::bounds::Bounds;

impl Dispatcher {
    /// Fans events out until enough is collected or none is left.
    pub(super) fn fan_out_some(&mut self, now: UnixMs) {
        let mut looked_at = 0;
        while self.can_fan_out() && looked_at < self.bounds.record {
            let Some(found) = self.fan_out.next(&self.roster, self.bounds.fan_out) else { break };
            looked_at += found.webhooks.len() + 1;
            if found.is_first {
                self.ledger.open(found.event.seq);
            }
            for webhook in found.webhooks {
                self.owe(&found.event, &webhook, now);
            }
            if found.is_last {
                self.ledger.close(found.event.seq);
                self.ledger.fanned_out(found.event.seq);
            }
        }
    }

    /// Is there room for what fan-out leaves to the store? However much that is, it takes half of a record at most, and
    /// attempts go on beside it.
    pub(super) fn can_fan_out(&self) -> bool {
        let is_open = self.ledger.without_attempt() < (self.bounds.record / 2).max(1);
        is_open && self.ledger.len() < self.bounds.record
    }

    /// Is there room for what has waited in memory for long? A quarter of a record is kept for it from fan-out, and one
    /// for attempts from both.
    pub(super) fn can_write_overdue(&self) -> bool {
        let is_open = self.ledger.without_attempt() < self.bounds.record - self.bounds.record / 4;
        is_open && self.ledger.len() < self.bounds.record
    }

    /// Takes up the delivery of an event to a webhook, if it is owed one.
    fn owe(&mut self, event: &Arc<Event>, webhook: &Webhook, now: UnixMs) {
        let key = DeliveryKey { event: event.seq, webhook: webhook.no };
        let job =
            Job { key, due_at: self.due_at(event), event: event.clone(), attempts: 0, is_written: false };
        if event.is_test() {
            return self.put_in_front(job);
        }
        let is_dropped = webhook.deleted.is_some() && no_retry_reason(Some(webhook), &self.policy).is_some();
        let is_owed = webhook.is_owed(&event.event_type, event.seq);
        let is_forgotten = posthaste_faults::bug("owed-forgotten-when-off");
        let was_owed = !is_owed && webhook.was_owed(&event.event_type, event.seq) && !is_forgotten;
        if is_dropped || !(is_owed || was_owed) || !webhook.is_concerned(event.watched.as_deref()) {
            return;
        }
        if was_owed {
            return self.leave_as_canceled(key);
        }
        // What goes out in order waits for its turn in the store, where a crash changes nothing.
        let is_ordered = event.ordering_key.is_some();
        let is_early = event.send_at.is_some() && job.due_at > now;
        if webhook.is_holding() || is_ordered || is_early {
            return self.leave_to_store(&job);
        }
        self.take_up(job, webhook, now);
    }

    fn take_up(&mut self, job: Job, webhook: &Webhook, now: UnixMs) {
        let is_full = self.waiting.deliveries >= self.bounds.waiting
            || self.waiting.bytes + self.waiting.cost(&job.event, &self.bounds) > self.bounds.waiting_bytes;
        let (bounds, key) = (self.bounds, job.key);
        let Some(lane) = self.lane(key.webhook) else { return };
        let is_switched_on = lane.see(webhook, &bounds);
        let has_room = !is_full && lane.room(Source::Fresh, &bounds) > 0;
        if !has_room {
            lane.overflow(job.due_at);
        }
        if is_switched_on {
            self.read_again(key.webhook);
        }
        if !has_room {
            return self.leave_to_store(&job);
        }
        self.ledger.open(key.event);
        self.unwritten.push_back((now, key));
        self.put_in_lane(job, Source::Fresh);
    }

    /// Gives a delivery a row and no place in memory.
    fn leave_to_store(&mut self, job: &Job) {
        if let Some(lane) = self.lane(job.key.webhook) {
            lane.leave(job.key.event);
        }
        let due_at = self.due_at(&job.event);
        self.ledger.spill(Spill { key: job.key, due_at, chain: job.event.chain() });
    }

    /// What a webhook was owed when it was switched off is known until its row is durable, as what is left to the store is.
    fn leave_as_canceled(&mut self, key: DeliveryKey) {
        if let Some(lane) = self.lane(key.webhook) {
            lane.known.insert(key.event);
        }
        self.ledger.cancel(key, reasons::WEBHOOK_DISABLED);
    }

    /// Puts a delivery behind the others from there.
    pub(super) fn put_in_lane(&mut self, job: Job, source: Source) {
        let no = job.key.webhook;
        let job = self.sharing(job);
        let Some(lane) = self.lanes.get_mut(&no) else { return };
        self.waiting.add(&job, source, &self.bounds);
        lane.known.insert(job.key.event);
        lane.waiting.put(job, source);
        self.queues.give_turns(lane, no, &self.roster, &self.bounds);
    }

    /// The delivery with the body that is in memory already, if so: what was read from the store is a copy of its own.
    fn sharing(&self, mut job: Job) -> Job {
        if is_heavy(&job.event, &self.bounds)
            && let Some(known) = self.waiting.find(job.key.event).or_else(|| self.slots.find(job.key.event))
        {
            job.event = known.clone();
        }
        job
    }

    /// Puts a test in front of everything: somebody waits for its outcome. It never goes to the store to wait, where a
    /// paused webhook would hold it.
    fn put_in_front(&mut self, job: Job) {
        let no = job.key.webhook;
        if self.lane(no).is_none() {
            return;
        }
        self.ledger.open(job.key.event);
        self.waiting.add(&job, Source::Fresh, &self.bounds);
        if let Some(lane) = self.lanes.get_mut(&no) {
            lane.known.insert(job.key.event);
            lane.waiting.put_in_front(job);
        }
        self.give_turn(no);
    }

    /// Moves deliveries to the store that have waited in memory for long, so that the checkpoint can go on.
    pub(super) fn write_overdue(&mut self, now: UnixMs) {
        while let Some((since, key)) = self.unwritten.front().copied() {
            let is_overdue = since.plus(self.bounds.unwritten_for) <= now;
            if !is_overdue || !self.can_write_overdue() {
                return;
            }
            self.unwritten.pop_front();
            let Some(lane) = self.lanes.get_mut(&key.webhook) else { continue };
            if let Some(job) = lane.waiting.take_unwritten(key) {
                self.waiting.remove(&job, Source::Fresh, &self.bounds);
                let due_at = self.due_at(&job.event);
                if let Some(lane) = self.lane(key.webhook) {
                    lane.overflow(due_at);
                }
                self.put_away(&job);
            }
        }
    }

    /// Leaves a delivery that is no longer waiting to the store.
    pub(super) fn put_away(&mut self, job: &Job) {
        if job.is_written {
            if let Some(lane) = self.lanes.get_mut(&job.key.webhook) {
                lane.known.remove(&job.key.event);
            }
            // It was due when it was read.
            self.expect_row(job.key.webhook, self.now);
        } else {
            self.leave_to_store(job);
            self.ledger.close(job.key.event);
        }
    }

    /// A row of the webhook outside memory is due at `due_at`.
    pub(super) fn expect_row(&mut self, no: WebhookNo, due_at: UnixMs) {
        let Some(lane) = self.lane(no) else { return };
        lane.expect_row(due_at);
        if lane.is_loading {
            lane.look_again = true;
        }
        self.set_timer(no);
    }

    /// Keeps the index of due times in step with a lane.
    pub(super) fn set_timer(&mut self, no: WebhookNo) {
        let Some(lane) = self.lanes.get_mut(&no) else { return };
        let wanted = if lane.is_loading { None } else { lane.stored_due };
        if lane.timer == wanted {
            return;
        }
        if let Some(at) = lane.timer {
            self.timers.remove(&(at, no));
        }
        if let Some(at) = wanted {
            self.timers.insert((at, no));
        }
        lane.timer = wanted;
    }

    /// The webhook was changed, or rows of it were made due by somebody else.
    pub(super) fn webhook_changed(&mut self, no: WebhookNo) {
        let bounds = self.bounds;
        let (Some(webhook), Some(lane)) = (self.roster.get(no), self.lane(no)) else { return };
        let is_switched_on = lane.see(&webhook, &bounds);
        let is_changed = lane.sees_change(&webhook);
        if is_changed && !is_switched_on {
            lane.overflow_again();
        }
        if is_changed || is_switched_on {
            self.read_again(no);
        }
        self.expect_row(no, UnixMs(0));
        self.give_turn(no);
    }

    /// Leaves to the store what waits with a row, and forgets what a read under way will find: the webhook may have been
    /// off, and rows canceled meanwhile. What has none nobody canceled.
    pub(super) fn read_again(&mut self, no: WebhookNo) {
        let Some(lane) = self.lanes.get_mut(&no) else { return };
        lane.reads_in_vain = lane.is_loading;
        for (job, source) in lane.waiting.take_written() {
            self.waiting.remove(&job, source, &self.bounds);
            self.put_away(&job);
        }
    }

    /// Starts reads for webhooks whose rows are due and whose lanes have room.
    pub(super) fn load_some(&mut self, now: UnixMs, effects: &mut Vec<Effect>) {
        if let Some((after, with_written)) = self.fan_out.wants_load() {
            // Nothing waits to be fanned out now: there is room for all that may.
            let room = ReadRoom { rows: self.bounds.load_events, body_bytes: self.bounds.fresh_bytes };
            effects.push(Effect::LoadEvents { after, room, with_written });
        }
        while let Some((at, no)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.remove(&(at, no));
            if let Some(lane) = self.lanes.get_mut(&no) {
                lane.timer = None;
                lane.is_loading = true;
                self.wanted.push_back(no);
            }
        }
        while self.may_read()
            && let Some(no) = self.next_to_read()
        {
            self.load_lane(no, now, effects);
        }
    }

    fn may_read(&self) -> bool {
        self.loads_in_flight < self.bounds.loads_in_flight
            && self.waiting.backlog < most_backlog(&self.bounds)
    }

    /// The webhook to read for: one that was short of bytes and is so no longer, else the one that has waited longest.
    fn next_to_read(&mut self) -> Option<WebhookNo> {
        let has_room = has_room(&self.waiting, &self.lanes, &self.bounds);
        let again = self.short_of_bytes.next_that(has_room);
        again.or_else(|| self.wanted.pop_front())
    }

    /// Is there something to read, and may it be read now?
    pub(super) fn can_read_more(&self) -> bool {
        let has_room = has_room(&self.waiting, &self.lanes, &self.bounds);
        self.may_read() && (!self.wanted.is_empty() || self.short_of_bytes.has_one_that(has_room))
    }

    fn load_lane(&mut self, no: WebhookNo, now: UnixMs, effects: &mut Vec<Effect>) {
        let is_held = self.roster.get(no).is_none_or(|webhook| {
            webhook.is_holding() || no_retry_reason(Some(&webhook), &self.policy).is_some()
        });
        let bounds = self.bounds;
        let Some(lane) = self.lanes.get_mut(&no) else { return };
        // While much waits elsewhere a lane still goes on, one delivery at a time, but reads nothing in advance.
        let most = match self.waiting.bytes >= most_bytes_beside(lane, &bounds) {
            true => usize::from(lane.can_go_on()),
            false => most_rows(&bounds),
        };
        let next = lane.next_read(most, &bounds).filter(|(_, rows)| !is_held && *rows > 0);
        let Some((source, rows)) = next else {
            // A held webhook is looked at again when it changes, a full lane when it has room.
            lane.is_loading = false;
            return;
        };
        lane.begins_to_read(source);
        (lane.look_again, lane.reads_in_vain) = (false, false);
        if source == Source::Backlog {
            lane.stored_due = None;
        }
        let query = PendingQuery {
            webhook: no,
            until: now,
            newest: source == Source::Fresh,
            known: lane.known.clone(),
            room: ReadRoom { rows, body_bytes: most_read_bytes(&bounds) },
        };
        self.loads_in_flight += 1;
        effects.push(Effect::LoadPending(query));
    }

    /// Takes loaded rows up, but for those that were in memory all along.
    pub(super) fn pending_loaded(&mut self, no: WebhookNo, read: PendingRead) {
        let PendingRead { rows, passed_over, next } = read;
        self.loads_in_flight -= 1;
        let Some(lane) = self.lanes.get_mut(&no) else { return };
        let settled = lane.ends_to_read();
        if std::mem::take(&mut lane.reads_in_vain) {
            lane.has_read_in_vain();
            return self.expect_row(no, UnixMs(0));
        }
        // The newest say nothing of where the oldest begin.
        if let Some(next) = next.filter(|_| lane.reads_for == Source::Backlog) {
            lane.expect_row(next);
        }
        let looks_again = std::mem::take(&mut lane.look_again);
        if looks_again {
            lane.expect_row(UnixMs(0));
        }
        let (old, mut new): (Vec<PendingRow>, Vec<PendingRow>) = rows
            .into_iter()
            .filter(|row| !lane.known.contains(&row.key.event))
            .partition(|row| settled.contains(&row.key.event));
        let passed_over = passed_over.iter().find(|(event, _)| settled.contains(event));
        let old_due_at = old.first().map(|row| row.due_at).or(passed_over.map(|(_, due_at)| *due_at));
        if let Some(due_at) = old_due_at {
            // Its row may say what was before the record, or that it was made pending again after it.
            lane.expect_row(due_at);
        }
        let source = lane.reads_for;
        let meets_old = source == Source::Fresh && leave_old(lane, &mut new);
        let is_all = next.is_none() || meets_old;
        lane.has_read(new.len(), is_all && (source == Source::Fresh || !looks_again));
        // All that is due is known, and the rest of it is being recorded: that done, the lane looks again.
        let is_early =
            source == Source::Fresh && new.is_empty() && old_due_at.is_none() && !lane.is_durable();
        if source == Source::Fresh {
            lane.leave_beyond_room(&mut new, &self.bounds);
            new.reverse();
        }
        self.take_up_rows(no, new, source);
        if looks_again || !is_early {
            self.set_timer(no);
        }
    }

    /// Puts rows in their lane; what would be too much to keep in memory stays in the store.
    fn take_up_rows(&mut self, no: WebhookNo, rows: Vec<PendingRow>, source: Source) {
        for PendingRow { key, event, attempts, due_at } in rows {
            let adds_much = is_heavy(&event, &self.bounds) && self.waiting.cost(&event, &self.bounds) > 0;
            let Some(lane) = self.lanes.get_mut(&no) else { return };
            let is_much = self.waiting.bytes >= most_bytes_beside(lane, &self.bounds);
            let is_too_much =
                adds_much && self.waiting.heavy_written_bytes >= most_written_bytes(lane, &self.bounds);
            let can_go_on = lane.can_go_on();
            if is_much && (is_too_much || !can_go_on) {
                lane.expect_row(due_at);
                if can_go_on {
                    lane.is_loading = true;
                    let account = self.roster.get(no).map_or(AccountNo(0), |webhook| webhook.account);
                    self.short_of_bytes.join(account, no);
                }
                return;
            }
            let attempts = if posthaste_faults::bug("retry-count-in-memory") { 0 } else { attempts };
            self.put_in_lane(Job { key, event, due_at, attempts, is_written: true }, source);
        }
    }

    /// Lets a lane that has room again look at the store.
    pub(super) fn refill(&mut self, no: WebhookNo) {
        let bounds = self.bounds;
        if self.lanes.get(&no).is_some_and(|lane| lane.wants_rows(&bounds)) {
            self.set_timer(no);
        }
    }
}

/// How many deliveries of backlogs may wait in memory; the rest of the room is kept for fresh ones.
fn most_backlog(bounds: &Bounds) -> usize {
    if posthaste_faults::bug("backlog-all-in-memory") { usize::MAX } else { (bounds.waiting / 2).max(1) }
}

/// Up to how many bytes in memory more of them are read.
fn most_backlog_bytes(bounds: &Bounds) -> usize {
    if posthaste_faults::bug("backlog-all-in-memory") { usize::MAX } else { bounds.waiting_bytes / 2 }
}

/// Up to how many bytes in memory more than the next row of a lane is read. What cannot start leaves room to what can.
fn most_bytes_beside(lane: &Lane, bounds: &Bounds) -> usize {
    let most = most_backlog_bytes(bounds);
    if lane.can_go_on() { most } else { most / 2 }
}

/// Up to how many bytes of heavy bodies with rows wait before a lane that has nothing in memory gets one more. Those that
/// hang leave room to those that do well.
fn most_written_bytes(lane: &Lane, bounds: &Bounds) -> usize {
    let most = most_backlog_bytes(bounds);
    match lane.standing(bounds) {
        Standing::Failing => most,
        Standing::Well => most.saturating_add(most / 2),
    }
}

/// Tells of a webhook whether there is room for a heavy body of it.
fn has_room(
    waiting: &Waiting,
    lanes: &HashMap<WebhookNo, Lane>,
    bounds: &Bounds,
) -> impl Fn(WebhookNo) -> bool {
    let bytes = waiting.heavy_written_bytes;
    move |no| lanes.get(&no).is_none_or(|lane| bytes < most_written_bytes(lane, bounds))
}

/// How many bytes of bodies are read in one go, for one webhook.
fn most_read_bytes(bounds: &Bounds) -> usize {
    if posthaste_faults::bug("backlog-all-in-memory") { usize::MAX } else { bounds.load_bytes }
}

/// How many rows are read in one go.
fn most_rows(bounds: &Bounds) -> usize {
    if posthaste_faults::bug("backlog-all-in-memory") { usize::MAX / 2 } else { bounds.load }
}

/// Leaves rows to the store that became due before anything overflowed: they take no place of fresh ones. Are there any?
fn leave_old(lane: &mut Lane, rows: &mut Vec<PendingRow>) -> bool {
    let Some(due_at) = rows.iter().map(|row| row.due_at).find(|due_at| !lane.is_fresh(*due_at)) else {
        return false;
    };
    rows.retain(|row| lane.is_fresh(row.due_at));
    lane.expect_row(due_at);
    true
}
