//! Webhooks.

use std::collections::BTreeMap;

use posthaste_core::{Subscription, Webhook};
use serde::Serialize;

use super::{maybe, spelled};

/// A webhook as the operator sees it.
#[derive(Serialize)]
pub(crate) struct WebhookShown {
    id: String,
    account: String,
    url: String,
    events: Vec<String>,
    status: &'static str,
    description: Option<String>,
    extension: BTreeMap<String, String>,
    consecutive_failures: u32,
    last_attempt_at: Option<String>,
    last_success_at: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<Webhook> for WebhookShown {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            account: webhook.account_id,
            url: webhook.url,
            events: match webhook.subscription {
                Subscription::All => vec!["*".to_owned()],
                Subscription::Patterns(patterns) => patterns,
            },
            status: webhook.state.word(),
            description: webhook.description,
            extension: webhook.extension,
            consecutive_failures: webhook.health.consecutive_failures,
            last_attempt_at: maybe(webhook.health.last_attempt_at),
            last_success_at: maybe(webhook.health.last_success_at),
            created_at: spelled(webhook.created_at),
            updated_at: spelled(webhook.updated_at),
        }
    }
}

/// A webhook whose signing secret was changed: the one answer that shows a secret we made.
#[derive(Serialize)]
pub(crate) struct RotatedShown<'a> {
    #[serde(flatten)]
    pub webhook: WebhookShown,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<&'a str>,
    /// Until when each former secret goes on signing.
    pub previous_secrets_until: Vec<String>,
    /// How many former secrets that still signed had to go.
    pub dropped_secrets: usize,
}

/// What became of a test event.
#[derive(Serialize)]
pub(crate) struct TestShown<'a> {
    pub ok: bool,
    pub status_code: Option<u16>,
    pub error: Option<&'a str>,
    pub message: &'a str,
    pub duration_ms: Option<u64>,
    pub event_id: String,
    pub delivery_id: String,
}
