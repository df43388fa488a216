//! Products that publish, customers and operators who meddle.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use posthaste_core::{Audience, EventBody, Secret, Seq, Subscription, UnixMs, WebhookNo, WebhookState};
use posthaste_store::{
    EventDraft, IdempotencyKey, NewAccount, NewWebhook, Published, WebhookLimits, WebhookPatch, Window,
};

use crate::world::{Call, World};

const TYPES: [&str; 3] = ["order.paid", "order.sent", "stock.low"];
const A_DAY: Duration = Duration::from_secs(86_400);

impl World {
    /// Creates the first accounts and webhooks.
    pub fn settle_people(&mut self) {
        for number in 0..self.script.accounts {
            let new = NewAccount { id: format!("account-{number}"), name: None };
            let account = self.store.create_account(new, self.now).expect("a new account is taken");
            self.accounts.push(account.no);
        }
        for _ in 0..self.script.webhooks {
            self.register();
        }
    }

    /// A publish call: a new one, or one repeated because its answer never came.
    pub fn publish(&mut self) {
        let call = match self.unanswered.pop() {
            Some(call) => call,
            None => self.new_call(),
        };
        if self.engine.is_none() {
            return;
        }
        let draft = EventDraft {
            audience: call.audience,
            event_type: call.event_type.into(),
            send_at: call.send_at,
            idempotency: call.key.clone().map(|key| IdempotencyKey {
                fingerprint: [call.event_type.len() as u8; 32],
                key,
                remembered_for: A_DAY,
            }),
            ordering_key: None,
            reading: None,
            test_by: None,
        };
        let answers = self.store.publish(vec![draft], &body, self.now).expect("the store takes events");
        let published = *answers[0].as_ref().expect("the same key comes with the same content");
        self.last_event = self.last_event.max(published.seq);
        // Committed and never answered: the caller does not know, and repeats the call with its key.
        if call.key.is_some() && !self.is_healed && self.dice.chance(self.script.fault_rate / 4.0) {
            self.note(format_args!("answer lost {:?}", published.seq));
            self.witness.unanswered(published.seq);
            self.unanswered.push(call);
        } else {
            self.acknowledge(&call, published);
        }
        self.pass_hints_on();
    }

    fn acknowledge(&mut self, call: &Call, published: Published) {
        self.note(format_args!(
            "accepted {:?} {} dup={}",
            published.seq, call.event_type, published.is_duplicate
        ));
        let roster = self.store.roster();
        let owed: Vec<WebhookNo> = roster
            .after(WebhookNo(0), usize::MAX)
            .into_iter()
            .filter(|webhook| match call.audience {
                Audience::Account(account) => webhook.account == account,
                _ => true,
            })
            .filter(|webhook| webhook.is_owed(call.event_type, published.seq))
            .map(|webhook| webhook.no)
            .collect();
        self.witness.acknowledged(published, owed, call.send_at.unwrap_or(published.created_at));
    }

    fn new_call(&mut self) -> Call {
        let audience = if self.dice.chance(0.3) {
            Audience::Broadcast
        } else {
            Audience::Account(*self.dice.pick(&self.accounts))
        };
        let key = self.dice.chance(0.5).then(|| format!("key-{}", self.dice.between(0, i64::MAX - 1)));
        let send_at = self
            .dice
            .chance(0.15)
            .then(|| self.now.plus(Duration::from_secs(self.dice.between(1, 900).unsigned_abs())));
        Call { audience, event_type: self.dice.pick::<&str>(&TYPES), send_at, key }
    }

    /// One act of a customer or operator.
    pub fn act(&mut self) {
        if self.engine.is_none() || self.webhooks.is_empty() {
            return;
        }
        let no = *self.dice.pick(&self.webhooks);
        match self.dice.between(0, 7) {
            0 => self.register(),
            1 => self.delete(no),
            2 => self.set_state(no, WebhookState::Paused),
            3 | 4 => self.set_state(no, WebhookState::Active),
            5 => self.subscribe(no),
            6 => self.recover(no),
            _ => self.retry_one(no),
        }
        self.pass_hints_on();
    }

    /// At the end nobody is paused.
    pub fn resume_all(&mut self) {
        for no in self.webhooks.clone() {
            let is_paused =
                self.store.roster().get(no).is_some_and(|webhook| webhook.state == WebhookState::Paused);
            if is_paused {
                self.set_state(no, WebhookState::Active);
            }
        }
        self.pass_hints_on();
    }

    fn register(&mut self) {
        let account = *self.dice.pick(&self.accounts);
        let number = self.webhooks.len();
        let new = NewWebhook {
            id: format!("wh_{number}"),
            account,
            key: None,
            url: format!("https://receiver-{number}.example/"),
            canonical_url: format!("https://receiver-{number}.example/"),
            subscription: self.some_subscription(),
            description: None,
            extension: BTreeMap::new(),
            secret: Secret::from("a secret of the simulation".to_owned()),
        };
        let webhook = self
            .store
            .create_webhook(new, WebhookLimits::default(), self.now)
            .expect("a new webhook is taken");
        self.note(format_args!("registers {:?} for {:?}", webhook.no, webhook.subscription));
        self.webhooks.push(webhook.no);
    }

    fn some_subscription(&self) -> Subscription {
        match self.dice.between(0, 2) {
            0 => Subscription::All,
            1 => Subscription::Patterns(vec!["order.*".to_owned()]),
            _ => Subscription::Patterns(vec![(*self.dice.pick(&TYPES)).to_owned()]),
        }
    }

    fn delete(&mut self, no: WebhookNo) {
        if self.store.delete_webhook(no, self.now).is_ok() {
            self.note(format_args!("deletes {no:?}"));
            self.witness.meddled(no, self.now);
            self.witness.deleted(no);
        }
    }

    fn set_state(&mut self, no: WebhookNo, state: WebhookState) {
        let patch = WebhookPatch { state: Some(state), ..WebhookPatch::default() };
        if self.store.update_webhook(no, patch, WebhookLimits::default(), self.now).is_ok() {
            self.note(format_args!("sets {no:?} {}", state.word()));
            self.witness.meddled(no, self.now);
            self.witness.set_paused(no, state == WebhookState::Paused);
        }
    }

    fn subscribe(&mut self, no: WebhookNo) {
        let patch = WebhookPatch { subscription: Some(self.some_subscription()), ..WebhookPatch::default() };
        if self.store.update_webhook(no, patch, WebhookLimits::default(), self.now).is_ok() {
            self.note(format_args!("subscribes {no:?} anew"));
            self.witness.meddled(no, self.now);
            self.witness.changed.insert(no);
        }
    }

    fn recover(&mut self, no: WebhookNo) {
        let window = Window { since: UnixMs(0), until: self.now };
        if let Ok(count) = self.store.recover(no, window, false, 100, self.now) {
            self.note(format_args!("recovers {count} of {no:?}"));
            self.witness.meddled(no, self.now);
        }
    }

    fn retry_one(&mut self, no: WebhookNo) {
        let rows = self.store.deliveries(no, None, 5).map(|slice| slice.items).unwrap_or_default();
        for row in rows {
            if self.store.retry_delivery(row.delivery.key, self.now).is_ok() {
                self.note(format_args!("retries {:?}", row.delivery.key));
                self.witness.meddled(no, self.now);
                return;
            }
        }
    }
}

fn body(_draft: usize, seq: Seq, _at: UnixMs) -> EventBody {
    let text = format!("{{\"id\":{},\"data\":{{\"a\":1}}}}", seq.0);
    let end = text.len() as u32 - 2;
    EventBody { data: end - 5..end, bytes: Bytes::from(text), account_at: None }
}
