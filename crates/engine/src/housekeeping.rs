//! Forgetting what is older than promised, in small steps beside the work.

use std::sync::Arc;
use std::time::Duration;

use posthaste_core::Clock;
use posthaste_store::Store;
use tokio::sync::Notify;

use crate::observe::Observe;

/// How often housekeeping looks when nobody asks.
const EVERY: Duration = Duration::from_secs(60);
/// The rest between two steps, so that the store's one writer serves others first.
const REST: Duration = Duration::from_millis(5);

/// Tidies the store for ever; the caller ends it by dropping the task.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    retention: Duration,
    drops_queued_of_deleted: bool,
    asked: Arc<Notify>,
    observe: Observe,
) {
    loop {
        tidy_all(&*store, &*clock, retention, drops_queued_of_deleted, &observe).await;
        let _ = tokio::time::timeout(EVERY, asked.notified()).await;
    }
}

async fn tidy_all(store: &dyn Store, clock: &dyn Clock, retention: Duration, drops: bool, observe: &Observe) {
    loop {
        let now = clock.now();
        match store.tidy(now.minus(retention), drops, now).await {
            Ok(true) => tokio::time::sleep(REST).await,
            Ok(false) => return,
            Err(error) => return observe.tidying_failed(&error),
        }
    }
}
