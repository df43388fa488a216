//! Whether attempts may start, and how they end.

use std::time::Duration;

use posthaste_core::policy::QueuedOnDelete;
use posthaste_core::{Attempt, Audience, DeliveryKey, Outcome, UnixMs, WebhookState};
use posthaste_engine::dispatcher::Claim;

use super::Witness;
use super::owed::{Fact, Owed};
use crate::words;

const SECOND_MS: u64 = 1_000;
/// The second that an event is known to be accepted in, and the one in which nobody cares that a clock was set.
const BLURRED: Duration = Duration::from_secs(2);

impl Witness {
    /// The wall clock is so far ahead now. What waits for a time of it waits as it was to when the event was accepted,
    /// or as the clock shows that is nearer to steady time; it may go sooner by the clock of now also where one since was
    /// nearer still, since steady time itself may have lost some. Until a process has seen that, what waits may go at
    /// either time, and so may what is due within the time that it takes to see it. How far the clock was ahead then is known
    /// to the second, and the store moves nothing for a second: nearer is what is so by more than both.
    pub fn clock_set(&mut self, now: UnixMs, ahead_ms: i64, is_seen: bool) {
        for fact in self.owed.events.values_mut() {
            let (Some(send_at), Some(due_at)) = (fact.send_at, fact.due_at) else { continue };
            let is_nearest = ahead_ms.unsigned_abs() + 2 * SECOND_MS < send_at.0.abs_diff(due_at.0);
            let is_nearer = ahead_ms.unsigned_abs() < fact.ahead_ms.unsigned_abs();
            let due_anew = UnixMs(send_at.0 - ahead_ms);
            let counts = (is_nearest && is_seen) || (is_nearer && due_anew < due_at);
            if counts && due_at > now.plus(BLURRED) {
                fact.due_at = Some(due_anew);
            }
        }
    }

    /// An attempt starts at `now` by the steady clock. Those in `open` come before it in its chain and have not ended.
    pub fn started(&mut self, claim: &Claim, now: UnixMs, open: &[DeliveryKey]) {
        self.attempts += 1;
        let key = claim.key;
        let Some(fact) = self.owed.events.get(&key.event).cloned() else {
            return self.object(format!("{key:?} is of an event that nobody published"));
        };
        if self.owed.get(key).is_none() {
            self.unexpected(key, "sent", false);
        }
        if !self.under_way.insert(key) || self.unrecorded.contains(&key) {
            self.object(format!("{key:?} is under way twice"));
        }
        self.check_webhook(claim, &fact);
        self.check_schedule(claim, &fact, now, open);
        self.check_rate(claim, now);
        if claim.event.body != words::body(0, key.event, UnixMs(0)) {
            self.object(format!("{key:?} carries another body than was published"));
        }
    }

    /// An event that was not for the webhook when it was accepted may be by now, if that was changed since; and if it is only
    /// canceled, also by what the webhook came to want while it was off.
    pub(super) fn unexpected(&mut self, key: DeliveryKey, what: &str, is_canceled: bool) {
        let (fact, known) = (self.owed.events.get(&key.event), self.registry.get(key.webhook));
        let is_right = fact.zip(known).is_some_and(|(fact, known)| {
            known.may_take_late(key.webhook, fact) || (is_canceled && known.may_end_late(fact))
        });
        if !is_right {
            self.object(format!("{key:?} is {what} and not owed"));
        }
        self.owed.add_late(key);
    }

    /// Was its webhook deleted or switched off after its event was accepted?
    pub fn was_off(&self, key: DeliveryKey) -> bool {
        let (fact, known) = (self.owed.events.get(&key.event), self.registry.get(key.webhook));
        fact.zip(known).is_some_and(|(fact, known)| known.history.was_off_since(fact.accepted_at))
    }

    /// The same, and before a time.
    pub fn was_off_before(&self, key: DeliveryKey, until: UnixMs) -> bool {
        let (fact, known) = (self.owed.events.get(&key.event), self.registry.get(key.webhook));
        fact.zip(known).is_some_and(|(fact, known)| known.history.was_off_between(fact.accepted_at, until))
    }

    fn check_webhook(&mut self, claim: &Claim, fact: &Fact) {
        let key = claim.key;
        let Some(known) = self.registry.get(key.webhook).cloned() else {
            return self.object(format!("{key:?} goes to a webhook that nobody made"));
        };
        let is_test = matches!(fact.audience, Audience::Webhook(_));
        if known.is_deleted && (is_test || self.policy.on_delete == QueuedOnDelete::Drop) {
            self.object(format!("{key:?} started after the delete was answered"));
        }
        match known.state {
            WebhookState::Paused if !is_test && !known.is_deleted => {
                self.object(format!("{key:?} started while paused"));
            }
            WebhookState::Disabled if !is_test => self.object(format!("{key:?} started while off")),
            _ => {}
        }
        let secrets = &claim.webhook.secrets;
        let is_current = secrets.current.expose() == words::secret(known.secret).expose();
        let former = secrets.previous.first().map(|(secret, until)| (secret.expose().to_owned(), *until));
        let expected = known.former_secret.map(|(no, until)| (words::secret(no).expose().to_owned(), until));
        if !is_current || (expected.is_some() && former != expected) {
            self.object(format!("{key:?} is signed with other secrets than its webhook has"));
        }
    }

    fn check_schedule(&mut self, claim: &Claim, fact: &Fact, now: UnixMs, open: &[DeliveryKey]) {
        let (key, most) = (claim.key, self.attempts_max());
        let Some(owed) = self.owed.get_mut(key) else { return };
        let Owed { recorded, resends, is_done, not_before, .. } = *owed;
        owed.started += 1;
        if claim.number != recorded + 1 {
            self.object(format!("{key:?} #{} follows #{recorded}", claim.number));
        }
        if claim.number > most + resends {
            self.object(format!("{key:?} #{} is more than promised", claim.number));
        }
        if is_done {
            self.object(format!("{key:?} #{} is sent again after it was delivered", claim.number));
        }
        let is_too_soon = recorded == 0 && fact.due_at.is_some_and(|at| now.plus(BLURRED) < at);
        if is_too_soon || not_before.is_some_and(|at| now < at) {
            self.object(format!("{key:?} #{} started early", claim.number));
        }
        if resends == 0 && !open.is_empty() {
            self.object(format!("{key:?} started before {open:?} of its chain had ended"));
        }
    }

    /// In any window start no more than the contract allows, and the one that a timer's lateness is made up with.
    fn check_rate(&mut self, claim: &Claim, now: UnixMs) {
        let Some(rate) = self.policy.rate else { return };
        let starts = self.starts.entry(claim.key.webhook).or_default();
        while starts.front().is_some_and(|at| now.since(*at) >= rate.window) {
            starts.pop_front();
        }
        starts.push_back(now);
        if starts.len() > rate.attempts.max(1) as usize + 1 {
            let count = starts.len();
            self.object(format!("{:?} is the {count}th attempt in {:?}", claim.key, rate.window));
        }
    }

    /// An attempt ends at `now` by the steady clock, as its sender sees it.
    pub fn ended(&mut self, claim: &Claim, attempt: &Attempt, now: UnixMs) {
        self.under_way.remove(&claim.key);
        self.unrecorded.insert(claim.key);
        let delay = self.policy.retry.delays.get(attempt.number as usize - 1).copied().unwrap_or_default();
        let delay = delay.max(self.asked_to_wait(&attempt.outcome));
        if let Some(owed) = self.owed.get_mut(claim.key) {
            owed.is_done = matches!(attempt.outcome.status(), Some(200..=299));
            owed.not_before = Some(now.plus(delay));
            owed.last_end = Some(now);
        }
    }

    /// How long the receiver asks to be left alone, as receivers of this world do: in whole seconds, and few of them.
    fn asked_to_wait(&self, outcome: &Outcome) -> Duration {
        let Outcome::Answered(response) = outcome else { return Duration::ZERO };
        let counts = self.policy.retry.honours_retry_after && matches!(response.status, 429 | 503);
        let told = response.headers.iter().find(|(name, _)| counts && name == "retry-after");
        let seconds = told.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        Duration::from_secs(seconds.unwrap_or_default())
    }

    /// The process died: what was under way or not recorded is lost, and repeated at once as if it had never been.
    pub fn crashed(&mut self) {
        let lost = std::mem::take(&mut self.under_way);
        for key in lost.into_iter().chain(std::mem::take(&mut self.unrecorded)) {
            self.repeated += 1;
            if let Some(owed) = self.owed.get_mut(key) {
                owed.lost += 1;
                (owed.is_done, owed.not_before) = (false, owed.recorded_not_before);
            }
        }
        self.starts.clear();
    }

    /// The process ended in order: nothing may be lost.
    pub fn shut_down(&mut self) {
        if let Some(key) = self.under_way.iter().chain(&self.unrecorded).next() {
            self.object(format!("{key:?} was under way when the process ended in order"));
        }
        self.crashed();
    }
}
