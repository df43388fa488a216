//! Idle connections, kept for the next request to the same place by the same account.
//!
//! Connections of two accounts are never exchanged, so that a receiver shared by both cannot confuse one with what it
//! heard from the other. Nothing here outlives `CONNECTION_AGE_MAX`; the driver of each connection sees to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::{Connection, Driver, Meter};

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
        Self { per_origin: 64, in_all: 512 }
    }
}

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
    by_key: IndexMap<PoolKey, Vec<Connection>>,
    count: usize,
    /// Where the next connection is taken from when there are too many.
    hand: usize,
}

impl Pool {
    pub fn new(limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self { limits, idle: Mutex::default() })
    }

    /// The connection that was used last; the others may then grow old.
    pub fn take(&self, key: &PoolKey) -> Option<Connection> {
        let mut idle = self.lock();
        let connections = idle.by_key.get_mut(key)?;
        let taken = connections.pop();
        if connections.is_empty() {
            idle.by_key.swap_remove(key);
        }
        idle.count -= usize::from(taken.is_some());
        taken
    }

    /// Keeps a connection, if it is still good and there is room. When all room is taken another one gives way.
    pub fn put(&self, key: PoolKey, connection: Connection) {
        let mut idle = self.lock();
        // Asked under the lock: a connection that ends or expires later finds itself in here to be discarded.
        if !connection.is_fresh() {
            return;
        }
        let connections = idle.by_key.entry(key).or_default();
        if connections.len() >= self.limits.per_origin.max(1) {
            return;
        }
        connections.push(connection);
        idle.count += 1;
        if idle.count > self.limits.in_all {
            idle.make_room();
        }
    }

    /// Drops every idle connection.
    pub fn clear(&self) {
        *self.lock() = Idle::default();
    }

    fn discard(&self, key: &PoolKey, meter: &Arc<Meter>) {
        let mut idle = self.lock();
        let Some(connections) = idle.by_key.get_mut(key) else { return };
        let before = connections.len();
        connections.retain(|connection| !Arc::ptr_eq(&connection.meter, meter));
        let dropped = before - connections.len();
        if connections.is_empty() {
            idle.by_key.swap_remove(key);
        }
        idle.count -= dropped;
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// Drops the oldest connection of one key, going round through all keys.
    fn make_room(&mut self) {
        self.hand = (self.hand + 1) % self.by_key.len().max(1);
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

/// How long the last request on a connection that has expired may still take.
const LAST_REQUEST_MAX: Duration = Duration::from_secs(120);

/// Drives a connection for as long as it lives, and takes it out of the pool when it ends or expires.
pub(crate) async fn drive(
    driver: Driver,
    pool: Weak<Pool>,
    key: PoolKey,
    meter: Arc<Meter>,
    expires: Instant,
) {
    let mut driver = Box::pin(driver);
    let has_ended = timeout_at(expires, &mut driver).await.is_ok();
    // One that has ended is dropped before it is discarded, so that nobody takes it for alive in between.
    let last_request = (!has_ended).then_some(driver);
    if let Some(pool) = pool.upgrade() {
        pool.discard(&key, &meter);
    }
    if let Some(driver) = last_request {
        // Whatever becomes of the last request is told to whoever sent it.
        let _ = timeout(LAST_REQUEST_MAX, driver).await;
    }
}
