//! Every webhook in memory, for fan-out and for the last look before an attempt.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLock};

use posthaste_core::{AccountNo, Webhook, WebhookNo};

/// The webhooks as last made durable. Deleted ones stay while deliveries may still be owed to them.
///
/// Health counters in here are those of the time the webhook was last created, changed or loaded.
#[derive(Default)]
pub struct Roster {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    webhooks: BTreeMap<WebhookNo, Arc<Webhook>>,
    by_account: BTreeMap<(AccountNo, WebhookNo), Arc<Webhook>>,
}

impl Roster {
    /// One webhook.
    #[must_use]
    pub fn get(&self, no: WebhookNo) -> Option<Arc<Webhook>> {
        self.read(|inner| inner.webhooks.get(&no).cloned())
    }

    /// An account's webhooks with a number above `after`, in order; at most `limit`.
    #[must_use]
    pub fn of_account(&self, account: AccountNo, after: WebhookNo, limit: usize) -> Vec<Arc<Webhook>> {
        let range = (Bound::Excluded((account, after)), Bound::Included((account, WebhookNo(i64::MAX))));
        self.read(|inner| {
            inner.by_account.range(range).take(limit).map(|(_, webhook)| webhook.clone()).collect()
        })
    }

    /// Webhooks of all accounts with a number above `after`, in order; at most `limit`.
    #[must_use]
    pub fn after(&self, after: WebhookNo, limit: usize) -> Vec<Arc<Webhook>> {
        let range = (Bound::Excluded(after), Bound::Unbounded);
        self.read(|inner| {
            inner.webhooks.range(range).take(limit).map(|(_, webhook)| webhook.clone()).collect()
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(|inner| inner.webhooks.len())
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a webhook in, or its newer self in place of it. Only stores call this, after the commit.
    pub fn put(&self, webhook: Webhook) {
        let webhook = Arc::new(webhook);
        self.write(|inner| {
            inner.by_account.insert((webhook.account, webhook.no), webhook.clone());
            inner.webhooks.insert(webhook.no, webhook);
        });
    }

    /// Takes a webhook out. Only stores call this, after the commit.
    pub fn remove(&self, no: WebhookNo) {
        self.write(|inner| {
            if let Some(webhook) = inner.webhooks.remove(&no) {
                inner.by_account.remove(&(webhook.account, no));
            }
        });
    }

    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
