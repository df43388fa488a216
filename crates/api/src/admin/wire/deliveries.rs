//! Deliveries and their attempts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthaste_core::{Attempt, Delivery, Event, Outcome, Response, Webhook};
use serde::Serialize;

use super::{maybe, spelled};

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
    /// The bytes of those values that are not text, in base 64.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers_base64: BTreeMap<String, Vec<String>>,
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
        let mut headers_base64 = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in response.headers.iter().filter(|(_, value)| std::str::from_utf8(value).is_err())
        {
            headers_base64.entry(name.clone()).or_default().push(STANDARD.encode(value));
        }
        let (body, body_encoding) = match text_of(&response.body, response.is_cut) {
            Some(text) => (text.to_owned(), "utf-8"),
            None => (STANDARD.encode(&response.body), "base64"),
        };
        Self { headers: joined(headers), headers_base64, body, body_encoding, cut: response.is_cut }
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
    /// Did it stop at its bound?
    pub capped: bool,
    /// The `cursor` that goes on behind the last of them; null where there was none.
    pub next: Option<String>,
}
