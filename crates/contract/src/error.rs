//! Refusals in the contract's words.

use crate::input::FieldFault;
use crate::model::{Condition, Contract};

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
    /// How the contract answers a condition.
    #[must_use]
    pub fn error(&self, condition: Condition, context: &ErrorContext<'_>) -> ErrorAnswer {
        let _ = (condition, context);
        unimplemented!()
    }
}
