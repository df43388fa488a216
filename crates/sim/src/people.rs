//! Customers and operators who register, change and meddle.

use std::collections::BTreeMap;
use std::time::Duration;

use posthaste_core::{
    AccountNo, DeliveryKey, DeliveryState, Seq, Subscription, UnixMs, WebhookNo, WebhookState,
};
use posthaste_store::{
    Answer, Inline, NewAccount, NewWebhook, Refusal, Rotation, StoreError, WebhookPatch, Window,
};

use crate::lives::Written;
use crate::witness::Known;
use crate::words::{TYPES, secret};
use crate::world::World;

/// How many deliveries one recovery makes pending.
const RECOVERED_MAX: usize = 100;

#[expect(clippy::expect_used, reason = "the first people of a world meet no faults")]
impl World {
    /// Creates the first accounts and webhooks.
    pub fn settle_people(&mut self) {
        for number in 0..self.script.people.accounts {
            let new = NewAccount { id: format!("account-{number}"), name: None };
            let account = self.store.create_account(new, self.clocks.wall()).expect("a new account is taken");
            self.accounts.push(account.no);
        }
        let (commits, after) = (self.script.faults.commits, self.script.faults.after_commits);
        (self.script.faults.commits, self.script.faults.after_commits) = (0.0, 0.0);
        for _ in 0..self.script.people.webhooks {
            self.register();
        }
        (self.script.faults.commits, self.script.faults.after_commits) = (commits, after);
    }
}

impl World {
    /// One act of a customer or operator.
    pub fn act(&mut self) {
        let is_served = self.engine.as_ref().is_some_and(|engine| !engine.dispatcher.is_draining());
        if !is_served {
            return;
        }
        let numbers = self.witness.registry.numbers();
        let no = *self.dice.pick(&numbers);
        match self.dice.between(0, 11) {
            0 | 1 => self.register(),
            2 => self.delete(no),
            3 | 4 => self.set_state(no, WebhookState::Paused),
            5 | 6 => self.set_state(no, WebhookState::Active),
            7 if self.dice.chance(0.3) => self.set_state(no, WebhookState::Disabled),
            7 => self.rotate(no),
            8 => self.subscribe(no),
            9 => self.move_to(no),
            10 => self.recover(no),
            _ => self.retry_one(no),
        }
        if self.engine.is_some() {
            self.pass_hints_on();
        }
    }

    /// At the end nobody is paused.
    pub fn resume_all(&mut self) {
        for no in self.witness.registry.numbers() {
            let known = self.witness.registry.get(no);
            if known.is_some_and(|it| it.state == WebhookState::Paused && !it.is_deleted) {
                self.set_state(no, WebhookState::Active);
            }
        }
        self.pass_hints_on();
    }

    /// What came of a verb, if anything is stored of it; the answer must be the one that was to be expected.
    fn outcome<T>(
        &mut self,
        what: &str,
        expected: Option<Refusal>,
        verb: impl FnOnce(&Inline) -> Answer<T>,
    ) -> Option<T> {
        match self.write(verb) {
            Written::Answered(Ok(done)) | Written::Unanswered(done) => {
                if let Some(refusal) = expected {
                    self.witness.object(format!("{what} was done, expected {refusal:?}"));
                }
                Some(done)
            }
            Written::Answered(Err(StoreError::Refused(refusal))) => {
                if expected != Some(refusal) {
                    self.witness
                        .object(format!("{what} was refused with {refusal:?}, expected {expected:?}"));
                }
                None
            }
            Written::Answered(Err(error)) => {
                self.witness.object(format!("{what} failed: {error}"));
                None
            }
            Written::Lost => None,
        }
    }

    fn register(&mut self) {
        let account = *self.dice.pick(&self.accounts);
        let url = self.some_url();
        let subscription = self.some_subscription();
        let expected = self.witness.registry.refusal_of_new(account, &url);
        let new = new_webhook(self.dice.between(0, i64::MAX - 1), account, &url, &subscription);
        let (limits, now) = (self.script.people.limits, self.clocks.wall());
        let made = self.outcome("a new webhook", expected, |store| store.create_webhook(new, limits, now));
        let Some(webhook) = made else { return };
        self.note(format_args!("registers {:?} for {subscription:?}", webhook.no));
        let known = Known::new(account, url, subscription, self.clocks.true_time);
        self.witness.registry.add(webhook.no, known);
    }

    fn some_url(&self) -> String {
        format!("https://receiver-{}.example/", self.dice.between(1, self.script.people.urls))
    }

    fn some_subscription(&self) -> Subscription {
        match self.dice.between(0, 2) {
            0 => Subscription::All,
            1 => Subscription::Patterns(vec!["order.*".to_owned()]),
            _ => Subscription::Patterns(vec![(*self.dice.pick(&TYPES)).to_owned()]),
        }
    }

    /// Changes a webhook, and what is known of it in the same way.
    fn change(
        &mut self,
        no: WebhookNo,
        what: &str,
        patch: WebhookPatch,
        learn: impl FnOnce(&mut Known),
    ) -> bool {
        let url = patch.url.as_ref().map(|(url, _)| url.clone());
        let registry = &self.witness.registry;
        let is_gone = registry.get(no).is_none_or(|known| known.is_deleted);
        let expected = match url {
            _ if is_gone => Some(Refusal::NotFound),
            Some(url) => registry.refusal_of_move(no, &url),
            None => None,
        };
        let (limits, now) = (self.script.people.limits, self.clocks.wall());
        let done = self.outcome(what, expected, |store| store.update_webhook(no, patch, limits, now));
        if done.is_none() {
            return false;
        }
        self.note(format_args!("{what} of {no:?}"));
        if let Some(known) = self.witness.registry.get_mut(no) {
            learn(known);
        }
        self.witness.changed(no, self.clocks.true_time);
        true
    }

    fn delete(&mut self, no: WebhookNo) {
        let is_gone = self.witness.registry.get(no).is_none_or(|known| known.is_deleted);
        let (expected, now) = (is_gone.then_some(Refusal::NotFound), self.clocks.wall());
        if self.outcome("a delete", expected, |store| store.delete_webhook(no, now)).is_none() {
            return;
        }
        self.note(format_args!("deletes {no:?}"));
        if let Some(known) = self.witness.registry.get_mut(no) {
            known.is_deleted = true;
        }
        self.witness.changed(no, self.clocks.true_time);
    }

    fn set_state(&mut self, no: WebhookNo, state: WebhookState) {
        let patch = WebhookPatch { state: Some(state), ..WebhookPatch::default() };
        let is_done = self.change(no, state.word(), patch, |known| known.state = state);
        if is_done && state == WebhookState::Active {
            self.witness.resumed(no);
        }
    }

    fn subscribe(&mut self, no: WebhookNo) {
        let subscription = self.some_subscription();
        let patch = WebhookPatch { subscription: Some(subscription.clone()), ..WebhookPatch::default() };
        self.change(no, "a new subscription", patch, |known| known.subscription = subscription);
    }

    fn move_to(&mut self, no: WebhookNo) {
        let url = self.some_url();
        let patch = WebhookPatch { url: Some((url.clone(), url.clone())), ..WebhookPatch::default() };
        self.change(no, "a move", patch, |known| known.url = url);
    }

    fn rotate(&mut self, no: WebhookNo) {
        let Some(known) = self.witness.registry.get(no) else { return };
        let (former, overlap) = (known.secret, Duration::from_secs(self.dice.between(1, 600).unsigned_abs()));
        let until = self.clocks.wall().plus(overlap);
        let rotation = Rotation { secret: secret(former + 1), overlap, keep: 2 };
        let patch = WebhookPatch { rotate: Some(rotation), ..WebhookPatch::default() };
        self.change(no, "a new secret", patch, |known| {
            (known.secret, known.former_secret) = (former + 1, Some((former, until)));
        });
    }

    fn recover(&mut self, no: WebhookNo) {
        let expected = self.refusal_of_resending(no, Refusal::NotFound);
        let before = self.ended_of(no);
        let now = self.clocks.wall();
        let window = Window { since: UnixMs(0), until: now, after: Seq(0) };
        let done = self
            .outcome("a recovery", expected, |store| store.recover(no, window, false, RECOVERED_MAX, now));
        let Some(found) = done else { return };
        self.note(format_args!("recovers {} of {no:?}", found.count));
        let pending: Vec<DeliveryKey> = before.into_iter().filter(|key| self.is_pending(*key)).collect();
        self.witness.resent(&pending);
    }

    fn refusal_of_resending(&self, no: WebhookNo, of_deleted: Refusal) -> Option<Refusal> {
        match self.witness.registry.get(no) {
            Some(known) if known.is_deleted => Some(of_deleted),
            Some(known) if known.state == WebhookState::Disabled => Some(Refusal::WrongState),
            _ => None,
        }
    }

    /// A webhook's deliveries that have ended by what is stored.
    fn ended_of(&mut self, no: WebhookNo) -> Vec<DeliveryKey> {
        let keys: Vec<DeliveryKey> = self.witness.owed.of_webhook(no).map(|(key, _)| key).collect();
        keys.into_iter()
            .filter(|key| self.store.delivery(*key).is_ok_and(|row| row.is_some()) && !self.is_pending(*key))
            .collect()
    }

    pub fn is_pending(&self, key: DeliveryKey) -> bool {
        let row = self.store.delivery(key).ok().flatten();
        row.is_some_and(|(delivery, ..)| delivery.state == DeliveryState::Pending)
    }

    fn retry_one(&mut self, no: WebhookNo) {
        let ended = self.ended_of(no);
        if ended.is_empty() {
            return;
        }
        let key = *self.dice.pick(&ended);
        let expected = self.refusal_of_resending(no, Refusal::WrongState);
        let now = self.clocks.wall();
        if self.outcome("a retry", expected, |store| store.retry_delivery(key, now)).is_some() {
            self.note(format_args!("retries {key:?}"));
            self.witness.resent(&[key]);
        }
    }
}

fn new_webhook(number: i64, account: AccountNo, url: &str, subscription: &Subscription) -> NewWebhook {
    NewWebhook {
        id: format!("wh_{number}"),
        account,
        key: None,
        url: url.to_owned(),
        canonical_url: url.to_owned(),
        subscription: subscription.clone(),
        description: None,
        extension: BTreeMap::new(),
        secret: secret(0),
    }
}
