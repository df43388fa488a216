//! What a body of the store keeps in memory, brought up to date after each commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_core::{ApiKey, KeyNo, Webhook};

use crate::ledger::Effects;
use crate::roster::Roster;
use crate::store::Hint;

/// How many API keys are kept at hand.
const KEYS_MAX: usize = 10_000;

/// The roster and the API keys in use.
pub(crate) struct Memory {
    pub roster: Arc<Roster>,
    pub keys: KeyCache,
}

impl Memory {
    pub fn new(webhooks: Vec<Webhook>) -> Self {
        let roster = Arc::new(Roster::default());
        webhooks.into_iter().for_each(|webhook| roster.put(webhook));
        Self { roster, keys: KeyCache::default() }
    }

    /// Shows what became durable, and answers what the engine should hear of it.
    pub fn apply(&self, effects: Effects) -> Vec<Hint> {
        effects.changed.into_iter().for_each(|webhook| self.roster.put(webhook));
        effects.left.into_iter().for_each(|no| self.roster.remove(no));
        self.keys.forget(&effects.revoked);
        let mut hints = Vec::new();
        if !effects.events.is_empty() {
            hints.push(Hint::Events { after: effects.after, events: effects.events });
        }
        hints.extend(effects.nudged.into_iter().map(Hint::Webhook));
        hints
    }
}

/// API keys by the hash of their text.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: HashMap<[u8; 32], Arc<ApiKey>>,
    /// Grows with every change of keys, so that what was read before a change is not kept after it.
    generation: u64,
}

impl KeyCache {
    /// The key if it is at hand, else what to hand to [`KeyCache::keep`] once it is read.
    pub fn find(&self, hash: &[u8; 32]) -> Result<Arc<ApiKey>, u64> {
        let known = self.lock();
        known.keys.get(hash).cloned().ok_or(known.generation)
    }

    /// Keeps a key that was read, unless keys changed since `generation`.
    pub fn keep(&self, hash: [u8; 32], key: &Arc<ApiKey>, generation: u64) {
        let mut known = self.lock();
        if known.generation != generation {
            return;
        }
        if known.keys.len() >= KEYS_MAX {
            known.keys.clear();
        }
        known.keys.insert(hash, key.clone());
    }

    fn forget(&self, numbers: &[KeyNo]) {
        if !numbers.is_empty() {
            let mut known = self.lock();
            known.generation += 1;
            known.keys.retain(|_, key| !numbers.contains(&key.no));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
