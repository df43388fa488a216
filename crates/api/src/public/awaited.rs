//! Signed bodies on their way, of each caller.
//!
//! What proves a signed request comes with its body, so the body is read before anything is known but the key's text.
//! Whoever knows that, or stole it, must not make us wait for any number of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posthaste_core::KeyNo;

use crate::client_address::ClientAddress;

/// Signed bodies waited for at one time from one address with one key; further requests are refused.
const AWAITED_MAX: u32 = 16;
/// When one that was refused may come again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Which key is shown, and where. Whoever uses it elsewhere takes nothing from its holder.
type Caller = (KeyNo, IpAddr);

/// How many signed bodies are waited for. It holds no more than there are connections.
#[derive(Default)]
pub(super) struct AwaitedBodies(Mutex<HashMap<Caller, u32>>);

/// A body that is waited for, until this goes.
pub(super) struct AwaitedBody<'a> {
    all: &'a AwaitedBodies,
    caller: Caller,
}

impl AwaitedBodies {
    /// Begins to wait for a body; `None` if that would be too many.
    pub fn begin(&self, key: KeyNo, client: ClientAddress) -> Option<AwaitedBody<'_>> {
        let caller = (key, client.neighbourhood());
        let mut all = self.lock();
        let count = all.entry(caller).or_default();
        if *count >= AWAITED_MAX {
            return None;
        }
        *count += 1;
        Some(AwaitedBody { all: self, caller })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AwaitedBody<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(count) = all.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.caller);
            }
        }
    }
}
