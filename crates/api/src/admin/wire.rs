//! What the answers look like. These shapes are promises; the domain's types may change freely.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthaste_core::{
    Account, ApiKey, Attempt, Delivery, Event, Outcome, Response, Subscription, UnixMs, Webhook,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::publishing::Accepted;

fn spelled(at: UnixMs) -> String {
    at.rfc3339_ms()
}

fn maybe(at: Option<UnixMs>) -> Option<String> {
    at.map(spelled)
}

/// An account.
#[derive(Serialize)]
pub(crate) struct AccountShown {
    id: String,
    name: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<Account> for AccountShown {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            created_at: spelled(account.created_at),
            updated_at: spelled(account.updated_at),
        }
    }
}

/// An API key without its text.
#[derive(Serialize)]
pub(crate) struct KeyShown {
    id: String,
    account: String,
    tier: Option<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
    description: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<ApiKey> for KeyShown {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            account: key.account_id,
            tier: key.tier,
            roles: key.roles,
            scopes: key.scopes,
            description: key.description,
            created_at: spelled(key.created_at),
            expires_at: maybe(key.expires_at),
            revoked_at: maybe(key.revoked_at),
        }
    }
}

/// A new API key with its text: the one answer that shows it.
#[derive(Serialize)]
pub(crate) struct NewKeyShown<'a> {
    #[serde(flatten)]
    pub about: KeyShown,
    pub key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<&'a str>,
}

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
            broadcast: event.audience == posthaste_core::Audience::Broadcast,
            test: event.is_test(),
            data: RawValue::from_string(event.body.data_json()).ok(),
            created_at: spelled(event.created_at),
            send_at: maybe(event.send_at),
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

/// A delivery.
#[derive(Serialize)]
pub(crate) struct DeliveryShown {
    id: String,
    event_id: String,
    event_type: String,
    account: String,
    webhook_id: String,
    status: &'static str,
    reason: Option<String>,
    next_attempt_at: Option<String>,
    created_at: String,
    delivered_at: Option<String>,
    attempt_count: u32,
    attempts: Vec<AttemptShown>,
}

impl DeliveryShown {
    pub fn new(
        (id, event_id): (String, String),
        event: &Event,
        webhook: &Webhook,
        delivery: Delivery,
        attempts: Vec<AttemptShown>,
    ) -> Self {
        Self {
            id,
            event_id,
            event_type: event.event_type.to_string(),
            account: webhook.account_id.clone(),
            webhook_id: webhook.id.clone(),
            status: delivery.state.word(),
            reason: delivery.reason,
            next_attempt_at: maybe(delivery.next_attempt_at),
            created_at: spelled(event.created_at),
            delivered_at: maybe(delivery.delivered_at),
            attempt_count: delivery.attempts,
            attempts,
        }
    }
}

/// An attempt; lists leave out request and response.
#[derive(Serialize)]
pub(crate) struct AttemptShown {
    number: u32,
    at: String,
    status_code: Option<u16>,
    error: Option<&'static str>,
    error_detail: Option<String>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Option<ResponseShown>>,
}

impl AttemptShown {
    /// An attempt in a list.
    pub fn brief(attempt: &Attempt) -> Self {
        let (error, error_detail) = match &attempt.outcome {
            Outcome::Answered(_) => (None, None),
            Outcome::Failed(fault) => (Some(fault.kind.word()), Some(fault.detail.clone())),
        };
        Self {
            number: attempt.number,
            at: spelled(attempt.started_at),
            status_code: attempt.outcome.status(),
            error,
            error_detail,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            request: None,
            response: None,
        }
    }

    /// An attempt with what was sent and what came back.
    pub fn whole(attempt: &Attempt, request: RequestShown) -> Self {
        let response = match &attempt.outcome {
            Outcome::Answered(response) => Some(ResponseShown::from(response)),
            Outcome::Failed(_) => None,
        };
        Self { request: Some(request), response: Some(response), ..Self::brief(attempt) }
    }
}

/// What was sent.
#[derive(Serialize)]
pub(crate) struct RequestShown {
    headers: BTreeMap<String, String>,
    body: String,
}

impl RequestShown {
    pub fn new(headers: Vec<(String, String)>, body: &[u8]) -> Self {
        Self { headers: joined(headers), body: String::from_utf8_lossy(body).into_owned() }
    }
}

/// What came back, as far as it is kept.
#[derive(Serialize)]
pub(crate) struct ResponseShown {
    headers: BTreeMap<String, String>,
    body: String,
    /// `base64` where the body is not text, else `utf-8`.
    body_encoding: &'static str,
    /// Was there more of the body, or did it break off?
    cut: bool,
}

impl From<&Response> for ResponseShown {
    fn from(response: &Response) -> Self {
        let headers = response.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()));
        let (body, body_encoding) = match text_of(&response.body, response.is_cut) {
            Some(text) => (text.to_owned(), "utf-8"),
            None => (STANDARD.encode(&response.body), "base64"),
        };
        Self { headers: joined(headers), body, body_encoding, cut: response.is_cut }
    }
}

/// The body as text; where it was cut, a character may have been cut with it and is left out.
fn text_of(body: &[u8], is_cut: bool) -> Option<&str> {
    match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(fault) if is_cut && fault.error_len().is_none() => {
            std::str::from_utf8(&body[..fault.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// Headers by name; values of the same name are joined as RFC 9110 section 5.3 has it.
fn joined(headers: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut by_name = BTreeMap::new();
    for (name, value) in headers {
        by_name
            .entry(name)
            .and_modify(|known: &mut String| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert(value);
    }
    by_name
}

/// What a recovery did or would do.
#[derive(Serialize)]
pub(crate) struct RecoveryShown {
    pub dry_run: bool,
    pub since: String,
    pub until: String,
    /// Deliveries made pending again, or that would be.
    pub count: u64,
    /// Did it stop at its bound? Asking again goes on.
    pub capped: bool,
}
