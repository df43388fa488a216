//! What a body of the store keeps in memory, brought up to date after each commit.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_core::{Account, ApiKey, Webhook};

use crate::ledger::Effects;
use crate::roster::Roster;
use crate::store::Hint;

/// How many things of one kind are kept at hand.
const AT_HAND_MAX: usize = 10_000;

/// The roster, and what else every request asks for.
pub(crate) struct Memory {
    pub roster: Arc<Roster>,
    /// API keys in use, by the hash of their text.
    pub keys: AtHand<[u8; 32], ApiKey>,
    /// Accounts that are published to, by their id.
    pub accounts: AtHand<String, Account>,
}

impl Memory {
    pub fn new(webhooks: Vec<Webhook>) -> Self {
        let roster = Arc::new(Roster::default());
        webhooks.into_iter().for_each(|webhook| roster.put(webhook));
        Self { roster, keys: AtHand::new(), accounts: AtHand::new() }
    }

    /// Shows what became durable, and answers what the engine should hear of it.
    pub fn apply(&self, effects: Effects) -> Vec<Hint> {
        effects.changed.into_iter().for_each(|webhook| self.roster.put(webhook));
        effects.left.into_iter().for_each(|no| self.roster.remove(no));
        self.keys.forget(&effects.revoked, |key| &key.no);
        self.accounts.forget(&effects.accounts, |account| &account.no);
        let mut hints = Vec::new();
        if !effects.events.is_empty() {
            hints.push(Hint::Events { after: effects.after, events: effects.events });
        }
        hints.extend(effects.nudged.into_iter().map(Hint::Webhook));
        hints
    }
}

/// Values that were read from the tables, until they change.
pub(crate) struct AtHand<K, V>(Mutex<Known<K, V>>);

struct Known<K, V> {
    values: HashMap<K, Arc<V>>,
    /// Grows with every change, so that what was read before a change is not kept after it.
    generation: u64,
}

impl<K: Hash + Eq, V> AtHand<K, V> {
    fn new() -> Self {
        Self(Mutex::new(Known { values: HashMap::new(), generation: 0 }))
    }

    /// The value if it is at hand, else what to hand to [`AtHand::keep`] once it is read.
    pub fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Result<Arc<V>, u64>
    where
        K: Borrow<Q>,
    {
        let known = self.lock();
        known.values.get(key).cloned().ok_or(known.generation)
    }

    /// Keeps a value that was read, unless values changed since `generation`.
    pub fn keep(&self, key: K, value: &Arc<V>, generation: u64) {
        let mut known = self.lock();
        if known.generation != generation {
            return;
        }
        if known.values.len() >= AT_HAND_MAX {
            known.values.clear();
        }
        known.values.insert(key, value.clone());
    }

    fn forget<N: PartialEq>(&self, changed: &[N], number: impl Fn(&V) -> &N) {
        if !changed.is_empty() {
            let mut known = self.lock();
            known.generation += 1;
            known.values.retain(|_, value| !changed.contains(number(value)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
