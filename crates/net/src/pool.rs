//! Idle connections, kept for the next request to the same place by the same account.
//!
//! Connections of two accounts are never exchanged, so that a receiver shared by both cannot confuse one with what it
//! heard from the other. Nothing watches idle connections one by one: they are looked at when they are taken, and a
//! sweep now and then drops those that have expired or were closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::{Instant, sleep};

use crate::connection::Connection;

/// How many idle connections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// To one place for one account; one at least.
    pub per_origin: usize,
    /// In all.
    pub in_all: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { per_origin: 64, in_all: 2_048 }
    }
}

/// How long a connection may stay after it expired or was closed while idle.
const SWEPT_EVERY: Duration = Duration::from_secs(5);

/// What connections are exchangeable by: the account, and scheme, host and port. The address is not part of it because
/// a request for a pooled connection has not looked one up; it stands at the connection and is judged at every use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub partition: i64,
    pub origin: Arc<str>,
}

pub(crate) struct Pool {
    limits: PoolLimits,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// A key whose connections are all in use may stay, with none.
    by_key: IndexMap<PoolKey, Vec<Connection>>,
    count: usize,
    /// Where the next connection is taken from when there are too many.
    hand: usize,
    /// Is somebody sweeping?
    is_swept: bool,
}

impl Pool {
    pub fn new(limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self { limits, idle: Mutex::default() })
    }

    /// The good connection that was used last; the others may then grow old.
    pub fn take(&self, key: &PoolKey, now: Instant) -> Option<Connection> {
        let mut idle = self.lock();
        let idle = &mut *idle;
        let connections = idle.by_key.get_mut(key)?;
        while let Some(mut connection) = connections.pop() {
            idle.count -= 1;
            if connection.is_fresh(now) && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection, if it is still good and there is room. When all room is taken another one gives way.
    pub fn put(self: &Arc<Self>, key: PoolKey, connection: Connection) {
        if !connection.is_fresh(Instant::now()) {
            return;
        }
        let mut idle = self.lock();
        let connections = idle.by_key.entry(key).or_default();
        if connections.len() >= self.limits.per_origin.max(1) {
            return;
        }
        connections.push(connection);
        idle.count += 1;
        idle.make_room(&self.limits);
        if !std::mem::replace(&mut idle.is_swept, true) {
            tokio::spawn(sweep_again_and_again(Arc::downgrade(self)));
        }
    }

    /// Drops every idle connection.
    pub fn clear(&self) {
        let mut idle = self.lock();
        idle.by_key.clear();
        idle.count = 0;
    }

    /// Drops what is of no more use. Is anything left?
    fn sweep(&self) -> bool {
        let mut idle = self.lock();
        let (now, mut left) = (Instant::now(), 0);
        idle.by_key.retain(|_, connections| {
            connections.retain_mut(|connection| connection.is_fresh(now) && connection.is_quiet());
            left += connections.len();
            !connections.is_empty()
        });
        idle.count = left;
        idle.is_swept = left > 0;
        idle.is_swept
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// While there are too many connections, or keys, drops the oldest connection of one key, going round through
    /// all keys.
    fn make_room(&mut self, limits: &PoolLimits) {
        while self.count > limits.in_all || self.by_key.len() > limits.in_all.max(1) {
            self.hand = (self.hand + 1) % self.by_key.len();
            let Some((_, connections)) = self.by_key.get_index_mut(self.hand) else { return };
            if !connections.is_empty() {
                connections.remove(0);
                self.count -= 1;
            }
            if connections.is_empty() {
                self.by_key.swap_remove_index(self.hand);
            }
        }
    }
}

/// Sweeps for as long as there is a pool and anything in it.
async fn sweep_again_and_again(pool: Weak<Pool>) {
    loop {
        sleep(SWEPT_EVERY).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}
