//! Refusals as problem documents (RFC 9457).

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use posthaste_core::Scope;
use posthaste_store::{Refusal, StoreError};
use serde::Serialize;

use crate::logins::Blocked;
use crate::publishing::{MemberFault, PublishFault};

/// When a request that is refused for a while may be tried again, unless more is known.
const RETRY_IN: Duration = Duration::from_secs(1);
/// The same of one that found no room on the disk.
const FULL_RETRY_IN: Duration = Duration::from_secs(5);
/// What every problem's type begins with; its code follows.
const TYPE_PREFIX: &str = "urn:posthaste:problem:";

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    BadBody,
    BadAudience,
    Invalid,
    Unauthorized,
    Forbidden,
    NotFound,
    Method,
    Timeout,
    Taken,
    Conflict,
    IdempotencyConflict,
    TooLarge,
    TooManyFailedLogins,
    Media,
    Internal,
    Unavailable,
    StorageFull,
    StoreFailed,
}

impl Kind {
    /// Status, code and title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadBody => (StatusCode::BAD_REQUEST, "bad_body", "The body cannot be read"),
            Self::BadAudience => (StatusCode::BAD_REQUEST, "bad_audience", "The audience is unclear"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request breaks a rule"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "An admin token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "The token's scope does not allow this"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The path knows other methods")
            }
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout", "The body did not arrive in time"),
            Self::Taken => (StatusCode::CONFLICT, "taken", "The id is taken"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Not possible in the present state"),
            Self::IdempotencyConflict => {
                (StatusCode::CONFLICT, "idempotency_conflict", "The id was used with other content")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too long"),
            Self::TooManyFailedLogins => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_failed_logins",
                "Too many wrong credentials came from this address",
            ),
            Self::Media => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The media type is not read")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible just now"),
            Self::StorageFull => (StatusCode::SERVICE_UNAVAILABLE, "storage_full", "The storage is full"),
            Self::StoreFailed => (StatusCode::SERVICE_UNAVAILABLE, "store_failed", "The store failed"),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<MemberFault>,
    retry_in: Duration,
}

/// A refusal as it is sent.
#[derive(Serialize)]
pub(crate) struct ProblemDocument<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    errors: Vec<MemberFaultDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct MemberFaultDocument<'a> {
    pointer: &'a str,
    detail: &'a str,
}

impl Problem {
    /// A problem with a sentence for people, which must not echo what was sent.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_in: RETRY_IN }
    }

    /// Members or parameters break rules.
    pub fn invalid(errors: Vec<MemberFault>) -> Self {
        let detail = errors.first().map_or_else(String::new, |fault| fault.detail.clone());
        Self { errors, ..Self::new(Kind::Invalid, detail) }
    }

    /// Nobody that is known asks.
    pub fn unauthorized() -> Self {
        Self::new(Kind::Unauthorized, "Send the admin token as Authorization: Bearer TOKEN.")
    }

    /// A token is known whose scope does not cover this.
    pub fn forbidden(needs: Scope) -> Self {
        Self::new(
            Kind::Forbidden,
            match needs {
                Scope::Full => "This needs a token with the scope full.".to_owned(),
                _ => format!("This needs a token with the scope {} or full.", needs.word()),
            },
        )
    }

    /// The one answer to every address that is none.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "There is nothing at this address.")
    }

    /// The address knows other methods.
    pub fn method() -> Self {
        Self::new(Kind::Method, "The header Allow names the methods.")
    }

    /// No such account, webhook, event or delivery: unknown, deleted or spelled wrong.
    pub fn unknown(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("There is no {what} with this id."))
    }

    /// The HTTP status.
    #[cfg(test)]
    pub fn status(&self) -> u16 {
        self.kind.row().0.as_u16()
    }

    /// The document; within a batch there is no request id of its own.
    pub fn document<'a>(&'a self, request_id: Option<&'a str>) -> ProblemDocument<'a> {
        let (status, code, title) = self.kind.row();
        let errors = self.errors.iter();
        ProblemDocument {
            r#type: format!("{TYPE_PREFIX}{code}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code,
            errors: errors
                .map(|fault| MemberFaultDocument { pointer: &fault.pointer, detail: &fault.detail })
                .collect(),
            request_id,
        }
    }

    fn headers(&self) -> Option<(HeaderName, HeaderValue)> {
        match self.kind {
            Kind::Unauthorized => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"posthaste-admin\"")))
            }
            Kind::Unavailable | Kind::StorageFull | Kind::StoreFailed | Kind::TooManyFailedLogins => {
                // Rounded up, so that nobody comes back too early.
                let seconds = self.retry_in.as_millis().div_ceil(1000).max(1);
                Some((RETRY_AFTER, u64::try_from(seconds).unwrap_or(u64::MAX).into()))
            }
            _ => None,
        }
    }
}

/// The problem travels beside an empty answer; [`written`] turns it into the body once the request's id is known.
impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.kind.row().0;
        if let Some((name, value)) = self.headers() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem that travels with an answer, if one does.
pub(crate) fn written(mut response: Response<Body>, request_id: &str) -> Response<Body> {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    // Numbers and strings only: there is nothing in it that could fail to be written.
    let text = serde_json::to_string(&problem.document(Some(request_id))).unwrap_or_default();
    *response.body_mut() = Body::from(text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

impl From<Blocked> for Problem {
    fn from(blocked: Blocked) -> Self {
        let detail = "The credential was not looked at. Try again when Retry-After has passed.";
        Self { retry_in: blocked.retry_in, ..Self::new(Kind::TooManyFailedLogins, detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => refusal.into(),
            StoreError::StorageFull => {
                tracing::warn!("an admin request was refused because the disk is full");
                let detail = "The disk has no room for more; nothing was changed. Try again when there is.";
                Self { retry_in: FULL_RETRY_IN, ..Self::new(Kind::StorageFull, detail) }
            }
            StoreError::Unavailable(why) => {
                tracing::warn!(why, "the store refuses admin requests");
                Self::new(Kind::Unavailable, "The store cannot take this now; nothing was changed.")
            }
            StoreError::Failed(why) => {
                tracing::error!(why, "the store failed under an admin request");
                Self::new(Kind::StoreFailed, "The store failed; whether the change was made is unknown.")
            }
            StoreError::Damaged(why) => {
                tracing::error!(why, "an admin request met damage in the store");
                Self::new(Kind::Internal, "The store is damaged; its log says where.")
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::NotFound => return Self::not_found(),
            Refusal::Taken | Refusal::NameTaken => Kind::Taken,
            Refusal::IdempotencyConflict => Kind::IdempotencyConflict,
            Refusal::WebhookLimit
            | Refusal::DuplicateUrl
            | Refusal::WrongState
            | Refusal::TokenLimit
            | Refusal::RotationUnderWay
            | Refusal::KeyGiven => Kind::Conflict,
        };
        Self::new(kind, format!("{refusal}."))
    }
}

impl From<PublishFault> for Problem {
    fn from(fault: PublishFault) -> Self {
        let kind = match fault {
            PublishFault::TooLong(_) => Kind::TooLarge,
            PublishFault::Malformed(_) => Kind::BadBody,
            PublishFault::Audience => Kind::BadAudience,
            PublishFault::UnknownAccount => Kind::NotFound,
            PublishFault::OtherContent => Kind::IdempotencyConflict,
            PublishFault::Members(faults) => return Self::invalid(faults),
            PublishFault::Store(error) => return error.into(),
        };
        Self::new(kind, format!("{fault}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_serve_says_why() {
        let told = |error: StoreError| {
            let problem = Problem::from(error);
            (problem.status(), problem.kind.row().1, problem.headers().is_some())
        };
        let why = || "why".to_owned();
        assert_eq!(told(StoreError::StorageFull), (503, "storage_full", true));
        assert_eq!(told(StoreError::Failed(why())), (503, "store_failed", true));
        assert_eq!(told(StoreError::Unavailable(why())), (503, "unavailable", true));
        assert_eq!(told(StoreError::Damaged(why())), (500, "internal", false));
    }
}
