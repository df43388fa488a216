//! How attempts start and end.

use std::time::Duration;

use posthaste_core::delivery::reasons;
use posthaste_core::health::Verdict;
use posthaste_core::{Attempt, DeliveryPolicy, UnixMs, Webhook, WebhookNo, WebhookState};
use posthaste_store::Recorded;

use super::bodies::{Body, is_heavy};
use super::bugs;
use super::lane::Lane;
use super::line::{Job, Source};
use super::machine::{Claim, Dispatcher, Effect};
use super::queues::{View, need};
use super::settle::{no_retry_reason, settle};
use super::slots::{Need, Slots};
use crate::bounds::Bounds;

/// What is to be done with a delivery whose turn it is.
enum Turn {
    Start,
    Hold,
    CallOff(&'static str),
}

impl Dispatcher {
    /// Starts attempts in fair turns while there are slots.
    pub(super) fn start_some(&mut self, now: UnixMs, effects: &mut Vec<Effect>) {
        while self.slots.has_room(&self.bounds) && self.ledger.len() < self.bounds.record {
            let view =
                View { slots: &self.slots, lanes: &self.lanes, roster: &self.roster, bounds: &self.bounds };
            let Some((waited_for, no)) = self.queues.next(&view) else { break };
            self.start_one(no, waited_for, now, effects);
            let Some(lane) = self.lanes.get_mut(&no) else { continue };
            self.queues.give_turns(lane, no, &self.roster, &self.bounds);
            if lane.wants_rows(&self.bounds) {
                self.set_timer(no);
            }
        }
    }

    /// May an attempt be started?
    pub(super) fn has_next(&self) -> bool {
        let view =
            View { slots: &self.slots, lanes: &self.lanes, roster: &self.roster, bounds: &self.bounds };
        self.slots.has_room(&self.bounds) && self.queues.has_next(&view)
    }

    /// Queues a lane for its turns if it can start something.
    pub(super) fn give_turn(&mut self, no: WebhookNo) {
        if let Some(lane) = self.lanes.get_mut(&no) {
            self.queues.give_turns(lane, no, &self.roster, &self.bounds);
        }
    }

    /// Takes the first delivery of a lane and starts it, holds it or calls it off, as its webhook stands now.
    fn start_one(&mut self, no: WebhookNo, waited_for: Need, now: UnixMs, effects: &mut Vec<Effect>) {
        let wall_clock = self.wall_clock();
        let Some(lane) = self.lanes.get_mut(&no) else { return };
        *lane.has_turn.of_mut(waited_for.source) = None;
        if !may_start(lane, waited_for, &self.slots, &self.bounds) {
            return;
        }
        let webhook = self.roster.get(no);
        if webhook.as_deref().is_some_and(|webhook| lane.see(webhook, &self.bounds)) {
            return self.read_again(no);
        }
        let Some(job) = lane.waiting.take(waited_for.source) else { return };
        self.waiting.remove(&job, waited_for.source, &self.bounds);
        // Where a webhook was switched off and on, what was cancelled meanwhile may be under way still. The next of its
        // chain stays in the store until that has ended, which makes it read again.
        if job.event.chain().is_some_and(|chain| lane.chains_in_flight.contains(&chain)) {
            lane.known.remove(&job.key.event);
            return;
        }
        match (judge(&job, webhook.as_deref(), &self.policy), webhook) {
            (Turn::Start, Some(webhook)) => {
                let body = Body::of(&job.event, &webhook, &self.bounds);
                lane.in_flight += 1;
                lane.chains_in_flight.extend(job.event.chain());
                lane.in_flight_bytes += body.as_ref().map_or(0, Body::bytes);
                let slot = self.slots.take(now, waited_for, body);
                let Job { key, event, attempts, is_written, .. } = job;
                let (at, ahead_ms) = (wall_clock, self.ahead_ms);
                let claim =
                    Claim { key, event, webhook, number: attempts + 1, at, ahead_ms, is_written, slot };
                effects.push(Effect::Attempt(claim));
                self.space(no, now);
            }
            (Turn::Hold, Some(_)) => self.put_away(&job),
            (Turn::CallOff(reason), _) => self.call_off(&job, reason),
            (_, None) => self.call_off(&job, reasons::WEBHOOK_DELETED),
        }
    }

    /// The webhook's next attempt waits, if the contract bounds how many start.
    fn space(&mut self, no: WebhookNo, now: UnixMs) {
        let Some(rate) = self.policy.rate.filter(|_| !posthaste_faults::bug("rate-ignored")) else { return };
        let Some(lane) = self.lanes.get_mut(&no) else { return };
        lane.paced_until = lane.pace.start(&rate, now);
        if let Some(at) = lane.paced_until {
            self.paced.insert((at, no));
        }
    }

    /// Gives their turn to webhooks that have waited long enough since their last attempt.
    pub(super) fn end_spacing(&mut self, now: UnixMs) {
        while let Some((at, no)) = self.paced.first().copied() {
            if at > now {
                return;
            }
            self.paced.pop_first();
            if let Some(lane) = self.lanes.get_mut(&no) {
                lane.paced_until = None;
            }
            self.give_turn(no);
            self.refill(no);
        }
    }

    /// Settles an ended attempt and collects what has to be remembered of it.
    pub(super) fn attempt_ended(&mut self, claim: &Claim, attempt: Attempt) {
        let key = claim.key;
        let webhook = self.roster.get(key.webhook);
        self.slots.give_back(claim.slot);
        let Some(lane) = self.lanes.get_mut(&key.webhook) else { return };
        lane.in_flight -= 1;
        if let Some(chain) = claim.event.chain() {
            lane.chains_in_flight.retain(|under_way| *under_way != chain);
        }
        if is_heavy(&claim.event, &self.bounds) {
            lane.in_flight_bytes -= claim.event.body.bytes.len();
        }
        if bugs::hides(&attempt) {
            let (event, attempts, is_written) = (claim.event.clone(), claim.number - 1, claim.is_written);
            return self
                .put_in_lane(Job { key, event, due_at: self.now, attempts, is_written }, Source::Fresh);
        }
        let is_test = claim.event.is_test();
        let settlement = settle(&attempt, webhook.as_deref(), is_test, &self.policy, &*self.dice);
        // The attempt tells when it ended by the wall clock, from when it was claimed. It may have begun a little later.
        let steady = |at: UnixMs| UnixMs(at.0.saturating_sub(claim.ahead_ms));
        let begun_late = self.now.since(steady(attempt.finished_at()));
        let early = Duration::from_millis(if posthaste_faults::bug("retries-early") { 50 } else { 0 });
        let next_attempt_at = settlement.next_attempt_at.map(|at| steady(at).plus(begun_late).minus(early));
        // It may have been switched on since, and nobody have heard of it yet: then it begins to count anew with this one.
        let is_switched_on = webhook.as_deref().is_some_and(|webhook| lane.see(webhook, &self.bounds));
        if !is_test {
            lane.adapt(settlement.verdict == Verdict::Success, &self.bounds);
            let before = lane.health.consecutive_failures;
            lane.health.note(settlement.verdict, attempt.finished_at(), &bugs::disable_rule(&self.policy));
            if posthaste_faults::bug("success-keeps-failures") {
                lane.health.consecutive_failures = lane.health.consecutive_failures.max(before);
            }
            self.ledger.health(key.webhook, lane.health);
            let is_active = webhook.is_some_and(|webhook| webhook.state == WebhookState::Active);
            if settlement.is_gone {
                self.ledger.disable(key.webhook, reasons::GONE);
            } else if is_active && lane.health.is_exhausted(&self.policy.disable) {
                self.ledger.disable(key.webhook, reasons::ATTEMPTS_EXHAUSTED);
            }
        }
        let recorded =
            Recorded { key, attempt, state: settlement.state, reason: settlement.reason, next_attempt_at };
        self.ledger.attempt(recorded, claim.event.ordering_key.is_some());
        if !claim.is_written {
            self.ledger.close(key.event);
        }
        if lane.has_too_many(&self.bounds) {
            self.shed(key.webhook);
            self.give_turn(key.webhook);
        } else {
            self.queues.give_turns(lane, key.webhook, &self.roster, &self.bounds);
        }
        if is_switched_on {
            self.read_again(key.webhook);
        }
    }

    /// Gives rows back to the store that a lane was read when its webhook did better.
    fn shed(&mut self, no: WebhookNo) {
        let bounds = self.bounds;
        while let Some((job, source)) = self.lanes.get_mut(&no).and_then(|lane| lane.shed(&bounds)) {
            self.waiting.remove(&job, source, &self.bounds);
            self.put_away(&job);
        }
    }

    /// The end of a delivery in memory that will not be tried.
    pub(super) fn call_off(&mut self, job: &Job, reason: &'static str) {
        debug_assert!(reason == reasons::WEBHOOK_DELETED || reason == reasons::WEBHOOK_DISABLED);
        self.ledger.cancel(job.key, reason);
        if !job.is_written {
            self.ledger.close(job.key.event);
        }
    }

    /// What was handed out is durable: those deliveries are the store's now.
    pub(super) fn recorded(&mut self) {
        for written in self.ledger.recorded() {
            let no = written.key.webhook;
            if let Some(lane) = self.lane(no) {
                lane.recorded(written.key.event);
            }
            if let Some(due_at) = written.due_at {
                self.expect_row(no, due_at);
            }
            self.refill(no);
        }
    }
}

/// May the lane whose turn has come start what it waited for? Meanwhile another delivery may have come first, or the
/// webhook have fared otherwise.
fn may_start(lane: &Lane, waited_for: Need, slots: &Slots, bounds: &Bounds) -> bool {
    let source = waited_for.source;
    let is_so = need(lane, source, bounds) == waited_for && lane.can_start(source, bounds);
    is_so && (lane.waiting.is_turn_of(source) || !can_start_soon(lane, source.other(), slots, bounds))
}

/// Will the turn of this source come among those that have room now? Where bytes are short nobody waits for it.
fn can_start_soon(lane: &Lane, source: Source, slots: &Slots, bounds: &Bounds) -> bool {
    let waits_for = lane.has_turn.of(source).filter(|need| !need.is_heavy);
    lane.can_start(source, bounds) && waits_for.is_some_and(|need| slots.has_room_for(need, bounds))
}

/// What to do with a delivery as its webhook stands now. Tests go even to paused and disabled webhooks.
fn judge(job: &Job, webhook: Option<&Webhook>, policy: &DeliveryPolicy) -> Turn {
    if job.event.is_test() {
        return match webhook {
            Some(webhook) if webhook.deleted.is_none() => Turn::Start,
            _ => Turn::CallOff(reasons::WEBHOOK_DELETED),
        };
    }
    if let Some(reason) = no_retry_reason(webhook, policy) {
        return Turn::CallOff(reason);
    }
    match webhook {
        Some(webhook) if webhook.is_holding() && !posthaste_faults::bug("paused-webhook-attempted") => {
            Turn::Hold
        }
        _ => Turn::Start,
    }
}
