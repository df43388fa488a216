//! Whether deliveries are sent.

use posthaste_core::UnixMs;
use posthaste_store::Owed;
use serde::Serialize;

use super::maybe;

/// Whether deliveries are sent, and how many wait.
#[derive(Serialize)]
pub(crate) struct SendingShown {
    state: &'static str,
    /// When the copy was made that the store was put back from; only while sending is held because of that.
    copied_at: Option<String>,
    /// Deliveries that wait for an attempt.
    pending: u64,
    /// Events that were accepted and not yet handed out to webhooks.
    events: u64,
}

impl SendingShown {
    pub fn of(held_since: Option<UnixMs>, owed: Owed) -> Self {
        Self {
            state: if held_since.is_some() { "held" } else { "running" },
            copied_at: maybe(held_since),
            pending: owed.deliveries,
            events: owed.events,
        }
    }
}
