//! Forgetting what is older than promised, in small steps beside the work.

use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{Clock, UnixMs};
use posthaste_store::{Store, StoreError};
use tokio::sync::Notify;

use crate::observe::Observe;

/// How often housekeeping looks when nobody asks.
const EVERY: Duration = Duration::from_secs(60);
/// How often the clock is looked at in between, and by how many milliseconds it must have been set to be of interest.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SET_MS: u64 = 1_000;
/// The rest between two steps, so that the store's one writer serves others first.
const REST: Duration = Duration::from_millis(5);

/// What is forgotten, and when.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// How long deliveries and their events are kept after their end.
    pub deliveries: Duration,
    /// How long rows of the audit log are kept, and tokens after their end.
    pub audit: Duration,
    /// Are deliveries dropped that wait for a webhook when it is deleted?
    pub drops_queued_of_deleted: bool,
}

/// Tidies the store for ever; the caller ends it by dropping the task.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keeping: Keeping,
    asked: Arc<Notify>,
    observe: Observe,
) {
    loop {
        tidy_all(&*store, &*clock, keeping, &observe).await;
        rest(&*clock, &asked).await;
    }
}

/// Waits until it is time again, somebody asks, or the wall clock was set: the store notes that with what it writes.
async fn rest(clock: &dyn Clock, asked: &Notify) {
    let ahead_ms = || clock.now().0.saturating_sub(clock.steady().0);
    let before_ms = ahead_ms();
    let since = clock.steady();
    while clock.steady().since(since) < EVERY && ahead_ms().abs_diff(before_ms) < SET_MS {
        if tokio::time::timeout(LOOK_EVERY, asked.notified()).await.is_ok() {
            return;
        }
    }
}

/// Steps until nothing is left to do.
async fn tidy_all(store: &dyn Store, clock: &dyn Clock, keeping: Keeping, observe: &Observe) {
    loop {
        let is_by_wall = posthaste_faults::bug("retention-by-wall-clock");
        let now = if is_by_wall { clock.now() } else { clock.steady() };
        match step(store, now, keeping).await {
            Ok(true) => tokio::time::sleep(REST).await,
            Ok(false) => return,
            Err(error) => return observe.tidying_failed(&error),
        }
    }
}

async fn step(store: &dyn Store, now: UnixMs, keeping: Keeping) -> Result<bool, StoreError> {
    let is_more = store.tidy(now.minus(keeping.deliveries), keeping.drops_queued_of_deleted, now).await?;
    Ok(store.tidy_audit(now.minus(keeping.audit)).await? || is_more)
}
