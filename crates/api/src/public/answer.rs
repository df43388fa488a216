//! From outcomes to responses.

use std::time::Duration;

use axum::body::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use posthaste_contract::model::Rate;
use posthaste_contract::{Contract, ErrorContext};
use posthaste_core::UnixMs;
use posthaste_core::rate::RateAnswer;

use super::refusal::{Refused, STORE_PAUSE};

/// What a handler answers.
pub(super) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON text; `None` for an empty body.
    pub body: Option<String>,
}

/// What a response says beside the handler's answer, gathered on the way.
pub(super) struct Trail {
    /// The id of this request.
    pub request_id: String,
    /// What `WWW-Authenticate` says, once the route is known.
    pub challenge: Option<String>,
    rate_headers: Vec<(&'static str, String)>,
}

impl Trail {
    pub fn new(request_id: String) -> Self {
        Self { request_id, challenge: None, rate_headers: Vec::new() }
    }

    /// Tells the caller where they stand.
    pub fn note_rate(&mut self, rate: &Rate, answer: &RateAnswer, now: UnixMs) {
        self.rate_headers = rate.answer_headers(answer, now);
    }

    /// Puts an outcome into the contract's words.
    pub fn respond(self, contract: &Contract, outcome: Result<Answer, Refused>) -> Response<Body> {
        let mut response = match outcome {
            Ok(answer) => write(answer.status, "application/json", answer.body),
            Err(refused) => self.refuse(contract, &refused),
        };
        put(&mut response, HeaderName::from_static("x-request-id"), &self.request_id);
        for (name, value) in &self.rate_headers {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                put(&mut response, name, value);
            }
        }
        response
    }

    fn refuse(&self, contract: &Contract, refused: &Refused) -> Response<Body> {
        let context = ErrorContext {
            request_id: &self.request_id,
            message: refused.message.as_deref(),
            fields: &refused.fields,
        };
        let error = contract.error(refused.condition, &context);
        let mut response = write(error.status, &error.content_type, Some(error.body));
        if let Some(challenge) = self.challenge.as_ref().filter(|_| error.status == 401) {
            put(&mut response, WWW_AUTHENTICATE, challenge);
        }
        if error.retry_after {
            put(
                &mut response,
                RETRY_AFTER,
                &whole_seconds(refused.retry_in.unwrap_or(STORE_PAUSE)).to_string(),
            );
        }
        if let Some(methods) = &refused.allow {
            put(&mut response, ALLOW, methods);
        }
        if refused.closes {
            put(&mut response, CONNECTION, "close");
        }
        response
    }
}

fn write(status: u16, content_type: &str, body: Option<String>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    put(&mut response, CACHE_CONTROL, "no-store");
    if let Some(text) = body {
        put(&mut response, CONTENT_TYPE, content_type);
        *response.body_mut() = Body::from(text);
    }
    response
}

/// Sets a header. The values are the contract's or our own, so one that cannot stand in a header is left out.
fn put(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Rounded up, so that nobody comes back too early; at least one.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
