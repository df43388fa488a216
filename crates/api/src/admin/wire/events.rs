//! Events.

use posthaste_core::{Audience, Event};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{maybe, spelled};
use crate::publishing::Accepted;

/// An accepted event.
#[derive(Serialize)]
pub(crate) struct AcceptedShown {
    id: String,
    r#type: String,
    created_at: String,
    duplicate: bool,
}

impl From<Accepted> for AcceptedShown {
    fn from(accepted: Accepted) -> Self {
        Self {
            id: accepted.id,
            r#type: accepted.event_type,
            created_at: spelled(accepted.created_at),
            duplicate: accepted.is_duplicate,
        }
    }
}

/// An event with what became of it.
#[derive(Serialize)]
pub(crate) struct EventShown {
    id: String,
    r#type: String,
    account: Option<String>,
    broadcast: bool,
    test: bool,
    data: Option<Box<RawValue>>,
    created_at: String,
    send_at: Option<String>,
    ordering_key: Option<String>,
    webhooks: Vec<FateShown>,
    /// Are there more webhooks than are shown?
    webhooks_cut: bool,
}

impl EventShown {
    pub fn new(
        id: String,
        event: &Event,
        account: Option<String>,
        webhooks: Vec<FateShown>,
        is_cut: bool,
    ) -> Self {
        Self {
            id,
            r#type: event.event_type.to_string(),
            account,
            broadcast: event.audience == Audience::Broadcast,
            test: event.is_test(),
            data: RawValue::from_string(event.body.data_json()).ok(),
            created_at: spelled(event.created_at),
            send_at: maybe(event.send_at),
            ordering_key: event.ordering_key.as_ref().map(|key| key.as_str().to_owned()),
            webhooks,
            webhooks_cut: is_cut,
        }
    }
}

/// What became of an event at one webhook.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub(crate) struct FateShown {
    pub webhook_id: String,
    pub delivery_id: Option<String>,
    pub status: &'static str,
    pub reason: Option<String>,
    pub next_attempt_at: Option<String>,
}
