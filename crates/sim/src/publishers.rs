//! Products that publish, and repeat what they got no answer to.

use std::time::Duration;

use posthaste_core::{Audience, OrderingKey, Seq, UnixMs};
use posthaste_store::{CommitFault, EventDraft, IdempotencyKey, Published, Refusal, StoreError};

use crate::lives::Written;
use crate::witness::{Expected, Fact};
use crate::words::{Call, TYPES, body};
use crate::world::World;

/// How long a publisher's own name of an event is remembered.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);
/// The most events published in one call.
const BATCH_MAX: i64 = 4;

impl World {
    /// A publish call: a new one, or one repeated because its answer never came.
    pub fn publish(&mut self) {
        if self.engine.as_ref().is_none_or(|engine| engine.dispatcher.is_draining()) {
            return;
        }
        let calls: Vec<Call> = match self.unanswered.pop() {
            Some(call) => vec![call],
            None => (0..self.batch_size()).map(|_| self.new_call()).collect(),
        };
        let now = self.clocks.wall();
        let drafts = calls.iter().map(Call::draft).collect();
        if self.dice.chance(self.script.faults.commits) && !self.is_disk_full {
            return self.publish_in_vain(drafts, calls, now);
        }
        let answer = self.store.publish(drafts, &body, now);
        match self.hear(answer) {
            Written::Answered(Ok(answers)) => {
                let is_heard = !self.dice.chance(self.script.faults.answers);
                self.learn(calls, &answers, now, is_heard);
                self.pass_hints_on();
            }
            Written::Unanswered(answers) => self.learn(calls, &answers, now, false),
            Written::Answered(Err(StoreError::StorageFull)) if self.is_disk_full => {
                self.tally.count("publish refused on a full disk");
                self.unanswered.extend(calls);
            }
            Written::Answered(Err(error)) => self.witness.object(format!("publishing failed: {error}")),
            Written::Lost => self.unanswered.extend(calls),
        }
    }

    fn batch_size(&self) -> i64 {
        if self.dice.chance(0.15) { self.dice.between(2, BATCH_MAX) } else { 1 }
    }

    /// The commit fails: what of it is stored only the next process knows.
    fn publish_in_vain(&mut self, drafts: Vec<EventDraft>, calls: Vec<Call>, now: UnixMs) {
        let fault = *self.dice.pick(&[CommitFault::Lost, CommitFault::Kept]);
        self.store.fail_next_commit(fault);
        if self.store.publish(drafts, &body, now).is_ok() {
            self.witness.object("a publish was answered whose commit had failed");
        }
        let stored = self.store.events_after(self.last_event, usize::MAX).unwrap_or_default();
        if fault == CommitFault::Lost && !stored.is_empty() {
            self.witness.object("an event is stored whose commit was lost");
        }
        let mut stored = stored.into_iter();
        for call in calls {
            let is_new = self.expected(&call) == Expected::New;
            if let Some(event) = is_new.then(|| stored.next()).flatten() {
                self.stored(&call, event.seq, now, false);
            }
            self.unanswered.push(call);
        }
        self.lose_commit::<()>();
    }

    /// What was answered, or would have been.
    fn learn(
        &mut self,
        calls: Vec<Call>,
        answers: &[Result<Published, Refusal>],
        now: UnixMs,
        is_heard: bool,
    ) {
        for (call, answer) in calls.into_iter().zip(answers) {
            let expected = self.expected(&call);
            let is_expected = match (expected, answer) {
                (Expected::New, Ok(published)) => !published.is_duplicate && published.seq > self.last_event,
                (Expected::Again(seq), Ok(published)) => published.is_duplicate && published.seq == seq,
                (Expected::Conflict, Err(refusal)) => *refusal == Refusal::IdempotencyConflict,
                _ => false,
            };
            if !is_expected {
                self.witness
                    .object(format!("{:?} was answered {answer:?}, expected {expected:?}", call.name));
            }
            match answer {
                Ok(published) if expected == Expected::New => {
                    self.stored(&call, published.seq, now, is_heard);
                }
                Ok(published) if is_heard => self.acknowledge(published.seq),
                _ => {}
            }
            if !is_heard {
                self.tally.count("answer to a publisher lost");
                self.unanswered.push(call);
            } else if call.name.is_some() {
                self.named.push(call);
            }
        }
    }

    fn expected(&self, call: &Call) -> Expected {
        let (name, now) = (call.name.as_ref(), self.clocks.steady());
        name.map_or(Expected::New, |name| self.witness.names.expected(call.audience, name, call.content, now))
    }

    fn stored(&mut self, call: &Call, seq: Seq, now: UnixMs, is_acknowledged: bool) {
        self.note(format_args!(
            "accepted {seq:?} {} {:?} told={is_acknowledged}",
            call.event_type, call.name
        ));
        self.last_event = self.last_event.max(seq);
        if let Some(name) = &call.name {
            let until = self.clocks.steady().plus(REMEMBERED_FOR);
            self.witness.names.learn(call.audience, name, call.content, seq, until);
        }
        let fact = Fact {
            audience: call.audience,
            event_type: call.event_type,
            send_at: call.send_at,
            chain: call.ordering_key.as_ref().map(OrderingKey::chain),
            accepted_at: self.clocks.true_time,
            due_at: call.send_at.map(|at| UnixMs(at.0 - now.0 + self.clocks.steady().0)),
            ahead_ms: now.0 - self.clocks.steady().0,
            is_acknowledged,
        };
        let takers = self.witness.registry.takers(call.audience, call.event_type);
        if !self.witness.owed.stored(seq, fact, &takers) {
            self.witness.object(format!("{seq:?} was given twice"));
        }
    }

    fn acknowledge(&mut self, seq: Seq) {
        if let Some(fact) = self.witness.owed.events.get_mut(&seq) {
            fact.is_acknowledged = true;
        }
    }

    fn new_call(&mut self) -> Call {
        if !self.named.is_empty() && self.dice.chance(self.script.people.named_again) {
            return self.call_of_old();
        }
        let people = &self.script.people;
        let audience = match self.dice.between(0, 9) {
            0..=2 => Audience::Broadcast,
            3 => Audience::Webhook(*self.dice.pick(&self.witness.registry.numbers())),
            _ => Audience::Account(*self.dice.pick(&self.accounts)),
        };
        let is_test = matches!(audience, Audience::Webhook(_));
        let name = (!is_test && self.dice.chance(people.named))
            .then(|| format!("name-{}", self.dice.between(0, i64::MAX - 1)));
        let is_ordered = !is_test && self.dice.chance(people.ordered);
        let ordering_key =
            is_ordered.then(|| self.dice.pick(&["one", "two"])).and_then(|key| OrderingKey::new(key));
        let is_later = !is_test && !is_ordered && self.dice.chance(0.15);
        let wait = Duration::from_secs(self.dice.between(1, 900).unsigned_abs());
        let send_at = is_later.then(|| self.clocks.true_time.plus(wait));
        let event_type = self.dice.pick::<&str>(&TYPES);
        Call { audience, event_type, send_at, ordering_key, name, content: event_type.len() as u8 }
    }

    /// The same call again, or one with its name and other content.
    fn call_of_old(&mut self) -> Call {
        let mut call = self.dice.pick(&self.named).clone();
        if self.dice.chance(0.3) {
            call.content = call.content.wrapping_add(1);
        }
        call
    }
}

impl Call {
    fn draft(&self) -> EventDraft {
        EventDraft {
            audience: self.audience,
            event_type: self.event_type.into(),
            send_at: self.send_at,
            ordering_key: self.ordering_key.clone(),
            idempotency: self.name.clone().map(|key| IdempotencyKey {
                fingerprint: [self.content; 32],
                key,
                remembered_for: REMEMBERED_FOR,
            }),
            reading: None,
            test_by: None,
        }
    }
}
