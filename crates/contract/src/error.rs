//! Refusals in the contract's words.

use crate::facts::{ErrorFacts, Scope, Subject};
use crate::fault::FieldFault;
use crate::model::{Condition, Contract, ErrorRule, Op};

/// What is known about a refusal beside its condition.
#[derive(Clone, Copy, Default)]
pub struct ErrorContext<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// A sentence for people in place of the usual one. It must not echo what the client sent.
    pub message: Option<&'a str>,
    /// The rejected fields, in the contract's order.
    pub fields: &'a [FieldFault],
}

/// A refusal, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// Must a `Retry-After` header be there?
    pub retry_after: bool,
}

impl Contract {
    /// The status and code of a condition.
    #[must_use]
    pub fn error_rule(&self, condition: Condition) -> Option<&ErrorRule> {
        let place = Condition::WORDS.iter().position(|(known, _)| *known == condition)?;
        self.errors.rules.get(place)
    }

    /// How the contract answers a condition.
    #[must_use]
    pub fn error(&self, condition: Condition, context: &ErrorContext<'_>) -> ErrorAnswer {
        let unknown = ErrorRule { status: 500, code: String::new(), message: None, retry_after: false };
        let rule = self.error_rule(condition).unwrap_or(&unknown);
        let first_field = context.fields.first().map(|fault| fault.message.as_str());
        let message = context.message.or(first_field).or(rule.message.as_deref());
        let facts = ErrorFacts {
            status: rule.status,
            code: &rule.code,
            title: phrase(rule.status),
            message: message.unwrap_or(usual_message(condition)),
            fields: context.fields,
        };
        let scope = Scope {
            // No operation of the list makes a secret here; which one is named does not matter.
            op: Op::WebhookList,
            request_id: context.request_id,
            subject: Subject::default(),
            page: None,
            test: None,
        };
        ErrorAnswer {
            status: rule.status,
            content_type: self.errors.content_type.clone(),
            body: self.render_with(self.errors.view, &scope, Some(&facts)),
            retry_after: rule.retry_after,
        }
    }
}

fn usual_message(condition: Condition) -> &'static str {
    match condition {
        Condition::AuthMissing => "Credentials are missing.",
        Condition::AuthInvalid => "The credentials are not valid.",
        Condition::AuthSkew => {
            "The request's timestamp is missing, malformed or too far from the server's time."
        }
        Condition::AuthReplay => "This signed request was received before.",
        Condition::AuthInactive => "The API key was revoked or has expired.",
        Condition::AccessDenied => "The API key does not have the rights that this needs.",
        Condition::RateLimited => "Too many requests; try again later.",
        Condition::QuotaExceeded => "The quota is used up.",
        Condition::Media => "The body must be application/json, not encoded.",
        Condition::TooLarge => "The body is too large.",
        Condition::BadBody => "The body is not a valid JSON object.",
        Condition::Invalid => "A field is not valid.",
        Condition::DuplicateUrl => "A webhook with this URL is already registered.",
        Condition::WebhookLimit => "The maximum number of webhooks is reached; delete one first.",
        Condition::Conflict => "This is not possible in the present state.",
        Condition::Idempotency => "The idempotency key was used for a different request.",
        Condition::NotFound => "Not found.",
        Condition::Method => "The method is not allowed here.",
        Condition::Timeout => "The request did not arrive in time.",
        Condition::Internal => "Something went wrong on our side.",
        Condition::Unavailable => "Temporarily unavailable; try again later.",
    }
}

/// The standard phrase of a status code (RFC 9110), for those contracts use.
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ if status < 300 => "Success",
        _ if status < 500 => "Client Error",
        _ => "Server Error",
    }
}
