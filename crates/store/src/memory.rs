//! What a body of the store keeps in memory, brought up to date after each commit.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_core::{Account, ApiKey, Token, UnixMs, Webhook};

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
    /// Named tokens in use, by the hash of their text.
    pub tokens: AtHand<[u8; 32], UsedToken>,
    /// Tokens used since that was last written down, by their ids.
    uses: Mutex<BTreeMap<String, UnixMs>>,
}

/// A named token, and when its use was last noted.
pub(crate) struct UsedToken {
    pub token: Arc<Token>,
    noted_ms: AtomicI64,
}

impl Memory {
    pub fn new(webhooks: Vec<Webhook>) -> Self {
        let roster = Arc::new(Roster::default());
        webhooks.into_iter().for_each(|webhook| roster.put(webhook));
        Self {
            roster,
            keys: AtHand::new(),
            accounts: AtHand::new(),
            tokens: AtHand::new(),
            uses: Mutex::default(),
        }
    }

    /// Shows what became durable, and answers what the engine should hear of it.
    pub fn apply(&self, effects: Effects) -> Vec<Hint> {
        effects.changed.into_iter().for_each(|webhook| self.roster.put(webhook));
        effects.left.into_iter().for_each(|no| self.roster.remove(no));
        self.keys.forget(&effects.revoked, |key| &key.no);
        self.accounts.forget(&effects.accounts, |account| &account.no);
        self.tokens.forget(&effects.tokens, |used| &used.token.id);
        let mut hints = Vec::new();
        if !effects.events.is_empty() {
            hints.push(Hint::Events { after: effects.after, events: effects.events });
        }
        hints.extend(effects.nudged.into_iter().map(Hint::Webhook));
        hints
    }
}

/// How exact it is known when a token was last used: so seldom does using it cost more than a look.
const USE_NOTED_EVERY_MS: u64 = 60_000;

impl Memory {
    /// Notes that a token is used now, and answers it.
    pub fn use_token(&self, used: &UsedToken, now: UnixMs) -> Arc<Token> {
        let noted = used.noted_ms.load(Ordering::Relaxed);
        if now.0.abs_diff(noted) >= USE_NOTED_EVERY_MS && used.token.is_active(now) {
            used.noted_ms.store(now.0, Ordering::Relaxed);
            self.uses().insert(used.token.id.clone(), now);
        }
        used.token.clone()
    }

    /// The same for a token that was read, which is kept at hand unless tokens changed since `generation`.
    pub fn use_new_token(&self, hash: [u8; 32], token: Token, generation: u64, now: UnixMs) -> Arc<Token> {
        let used = Arc::new(UsedToken { token: Arc::new(token), noted_ms: AtomicI64::new(i64::MIN) });
        self.tokens.keep(hash, &used, generation);
        self.use_token(&used, now)
    }

    /// Takes what was noted since the last call.
    pub fn take_uses(&self) -> BTreeMap<String, UnixMs> {
        std::mem::take(&mut *self.uses())
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<String, UnixMs>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
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
