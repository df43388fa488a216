//! Opens stores in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use posthaste_core::Clock;
use posthaste_store::{Embedded, OpenError, Options};
use tokio::time::Instant;

/// How long somebody else may have the lock, and how often it is looked at.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// Opens a store. A program that another part or thread starts in this moment has all our open files until it is its own
/// process: the lock of this store too, or of the one that was here before.
///
/// # Errors
/// As the store says.
pub async fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Embedded>, OpenError> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match Embedded::open(folder, None, Options { readers: 1 }, clock.clone()) {
            Err(OpenError::InUse(_)) if Instant::now() < until => tokio::time::sleep(LOCK_LOOK).await,
            other => return other,
        }
    }
}
