//! The wrong credentials of the last minute, by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posthaste_core::UnixMs;

use super::WINDOW;

/// Parts of the table that are locked one by one.
const SHARDS: usize = 16;
/// Addresses that are known of in one part.
const ADDRESSES_MAX: usize = 1024;
/// Wrong credentials that are remembered in one part, whatever the limit is.
const GUESSES_MAX: usize = 65_536;

/// Which share of a full part is forgotten at one time.
const FORGOTTEN_SHARE: usize = 32;

/// What a wrong credential leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is remembered.
    Counted,
    /// It was one too many.
    Blocks,
    /// The address is blocked for so much longer.
    Blocked(Duration),
}

/// Who is suspected. When a part is full, addresses that tried least go first, then the block that ends soonest: to end
/// somebody's block early takes as many blocked addresses as a part holds, each of which had all its guesses.
pub(super) struct Suspects {
    limit: usize,
    shards: [Mutex<HashMap<IpAddr, Suspect>>; SHARDS],
}

#[derive(Default)]
struct Suspect {
    /// Different wrong credentials, each with its last time.
    guesses: Vec<(u64, UnixMs)>,
    blocked_until: Option<UnixMs>,
    last: UnixMs,
}

impl Suspects {
    pub fn new(limit: usize) -> Self {
        Self { limit, shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// For how much longer the address is blocked.
    pub fn blocked_for(&self, shard: u64, address: IpAddr, now: UnixMs) -> Option<Duration> {
        self.lock(shard).get(&address)?.blocked_for(now)
    }

    /// Counts a wrong credential.
    pub fn guessed(&self, shard: u64, address: IpAddr, guess: u64, now: UnixMs) -> Verdict {
        let mut known = self.lock(shard);
        if !known.contains_key(&address) && known.len() >= self.addresses_max() {
            make_room(&mut known, now);
        }
        known.entry(address).or_default().guessed(guess, self.limit, now)
    }

    fn addresses_max(&self) -> usize {
        ADDRESSES_MAX.min(GUESSES_MAX / (self.limit + 1))
    }

    fn lock(&self, shard: u64) -> MutexGuard<'_, HashMap<IpAddr, Suspect>> {
        // The remainder is below the number of shards.
        let number = (shard % SHARDS as u64) as usize;
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

/// Forgets whom it can; if that is nobody, a share of the addresses, so that a flood of them is not paid for with a look
/// at all for each.
fn make_room(known: &mut HashMap<IpAddr, Suspect>, now: UnixMs) {
    let before = known.len();
    known.retain(|_, suspect| suspect.blocked_for(now).is_some() || is_recent(suspect.last, now));
    if known.len() < before {
        return;
    }
    let value = |(address, suspect): (&IpAddr, &Suspect)| {
        let block_ends = suspect.blocked_for(now).and(suspect.blocked_until);
        (block_ends, suspect.guesses.len(), suspect.last, *address)
    };
    let mut all: Vec<_> = known.iter().map(value).collect();
    let share = all.len().div_ceil(FORGOTTEN_SHARE);
    if share < all.len() {
        all.select_nth_unstable(share);
    }
    for (.., address) in all.iter().take(share) {
        known.remove(address);
    }
}

impl Suspect {
    fn blocked_for(&self, now: UnixMs) -> Option<Duration> {
        let left = u64::try_from(self.blocked_until?.0.saturating_sub(now.0)).ok()?;
        // A longer rest means that the clock was set back.
        Some(Duration::from_millis(left)).filter(|left| !left.is_zero() && *left <= WINDOW)
    }

    fn guessed(&mut self, guess: u64, limit: usize, now: UnixMs) -> Verdict {
        if let Some(left) = self.blocked_for(now) {
            return Verdict::Blocked(left);
        }
        self.blocked_until = None;
        self.last = now;
        self.guesses.retain(|(known, at)| *known != guess && is_recent(*at, now));
        self.guesses.push((guess, now));
        if self.guesses.len() <= limit {
            return Verdict::Counted;
        }
        self.guesses = Vec::new();
        self.blocked_until = Some(now.plus(WINDOW));
        Verdict::Blocks
    }
}

/// Within the window, whichever way the clock was set.
fn is_recent(at: UnixMs, now: UnixMs) -> bool {
    u128::from(now.0.abs_diff(at.0)) < WINDOW.as_millis()
}
