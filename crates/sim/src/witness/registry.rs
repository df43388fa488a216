//! Webhooks as people made and changed them.

use std::collections::BTreeMap;

use posthaste_core::{AccountNo, Audience, Subscription, UnixMs, WebhookNo, WebhookState};
use posthaste_store::{Refusal, WebhookLimits};

use super::history::{History, Phase, covers};
use super::owed::Fact;

/// A webhook as those know it who made it.
#[derive(Debug, Clone)]
pub struct Known {
    pub account: AccountNo,
    pub url: String,
    pub subscription: Subscription,
    pub state: WebhookState,
    pub is_deleted: bool,
    /// What it was before, and is.
    pub history: History,
    /// The number of the secret that signs now, and of the one before with the wall-clock time until which it signs.
    pub secret: u32,
    pub former_secret: Option<(u32, UnixMs)>,
}

/// All webhooks there ever were.
pub struct Registry {
    limits: WebhookLimits,
    webhooks: BTreeMap<WebhookNo, Known>,
}

impl Registry {
    pub fn new(limits: WebhookLimits) -> Self {
        Self { limits, webhooks: BTreeMap::new() }
    }

    pub fn add(&mut self, no: WebhookNo, webhook: Known) {
        self.webhooks.insert(no, webhook);
    }

    pub fn get(&self, no: WebhookNo) -> Option<&Known> {
        self.webhooks.get(&no)
    }

    pub fn get_mut(&mut self, no: WebhookNo) -> Option<&mut Known> {
        self.webhooks.get_mut(&no)
    }

    pub fn numbers(&self) -> Vec<WebhookNo> {
        self.webhooks.keys().copied().collect()
    }

    pub fn all(&self) -> impl Iterator<Item = (WebhookNo, &Known)> {
        self.webhooks.iter().map(|(no, webhook)| (*no, webhook))
    }

    /// What must come of a new webhook with this URL.
    pub fn refusal_of_new(&self, account: AccountNo, url: &str) -> Option<Refusal> {
        let mut own = self.webhooks.values().filter(|it| it.account == account && !it.is_deleted);
        if self.limits.max.is_some_and(|max| own.clone().count() >= max as usize) {
            return Some(Refusal::WebhookLimit);
        }
        (self.limits.unique_url && own.any(|it| it.url == url)).then_some(Refusal::DuplicateUrl)
    }

    /// What must come of moving a webhook to this URL.
    pub fn refusal_of_move(&self, no: WebhookNo, url: &str) -> Option<Refusal> {
        let Some(webhook) = self.get(no).filter(|it| !it.is_deleted) else { return Some(Refusal::NotFound) };
        let is_taken = self.webhooks.iter().any(|(other, it)| {
            *other != no && it.account == webhook.account && !it.is_deleted && it.url == url
        });
        (self.limits.unique_url && is_taken).then_some(Refusal::DuplicateUrl)
    }

    /// To whom an event is owed that is accepted now.
    pub fn takers(&self, audience: Audience, event_type: &str) -> Vec<WebhookNo> {
        let is_taker = |no: WebhookNo, it: &Known| match audience {
            Audience::Webhook(only) => no == only && !it.is_deleted,
            Audience::Account(account) => it.account == account && it.wants(event_type),
            Audience::Broadcast => it.wants(event_type),
        };
        self.all().filter(|(no, it)| is_taker(*no, it)).map(|(no, _)| no).collect()
    }
}

impl Known {
    /// A webhook as it is made, at this true time.
    pub fn new(account: AccountNo, url: String, subscription: Subscription, now: UnixMs) -> Self {
        let state = WebhookState::Active;
        let made = Phase { since: now, subscription: subscription.clone(), state, is_deleted: false };
        Self {
            account,
            url,
            subscription,
            state,
            is_deleted: false,
            history: History::new(made),
            secret: 0,
            former_secret: None,
        }
    }

    /// It is from now on, in true time, as it was just made to be.
    pub fn changed(&mut self, now: UnixMs) {
        let subscription = self.subscription.clone();
        let phase = Phase { since: now, subscription, state: self.state, is_deleted: self.is_deleted };
        self.history.add(phase);
    }

    /// May it take an event that it was not owed when that was accepted? One for its account that it came to want
    /// later; and a test that was asked for when it was deleted, to call that off.
    pub fn may_take_late(&self, no: WebhookNo, fact: &Fact) -> bool {
        if let Audience::Webhook(only) = fact.audience {
            return no == only && self.is_deleted;
        }
        let at = fact.accepted_at;
        self.is_reached_by(fact)
            && self.history.began_by(at)
            && self.history.wanted_since(at, fact.event_type)
    }

    /// May an event that it was not owed when that was accepted come to its end here? One that it came to want while it was
    /// off: what it was owed until it was switched off is judged by what it wants when fan-out comes to it.
    pub fn may_end_late(&self, fact: &Fact) -> bool {
        let at = fact.accepted_at;
        self.is_reached_by(fact)
            && self.history.began_by(at)
            && self.history.wanted_while_off(at, fact.event_type)
    }

    fn is_reached_by(&self, fact: &Fact) -> bool {
        match fact.audience {
            Audience::Webhook(_) => false,
            Audience::Account(account) => self.account == account,
            Audience::Broadcast => true,
        }
    }

    /// Would an event of this type be for it, if it were accepted now?
    pub fn wants(&self, event_type: &str) -> bool {
        !self.is_deleted && self.still_wants(event_type, false)
    }

    /// Would an event of this type be for it, if it were not switched off?
    pub fn is_off_for(&self, event_type: &str) -> bool {
        !self.is_deleted && self.state == WebhookState::Disabled && covers(&self.subscription, event_type)
    }

    /// Is an event still for it that was when it was accepted? One that was deleted may take what it was owed.
    pub fn still_wants(&self, event_type: &str, drops_when_deleted: bool) -> bool {
        let is_off = self.state == WebhookState::Disabled || (self.is_deleted && drops_when_deleted);
        !is_off && covers(&self.subscription, event_type)
    }
}
