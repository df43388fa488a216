//! Why a request is refused, before the contract puts it into its words.

use std::time::Duration;

use posthaste_contract::{Condition, FieldFault};
use posthaste_store::{Refusal, StoreError};

use crate::body::BodyTrouble;
use crate::logins::Blocked;

/// How long clients are asked to wait when the store cannot take a request.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(5);

/// A request that is refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// Why, as contracts know it.
    pub condition: Condition,
    /// A sentence in place of the usual one.
    pub message: Option<String>,
    /// The rejected fields.
    pub fields: Vec<FieldFault>,
    /// The methods that the path knows.
    pub allow: Option<String>,
    /// How long to wait.
    pub retry_in: Option<Duration>,
    /// Must the connection be closed, because the body was not read to its end?
    pub closes: bool,
}

impl Refused {
    /// Says which fields are wrong.
    pub fn fields(fields: Vec<FieldFault>) -> Self {
        Self { fields, ..Condition::Invalid.into() }
    }

    /// Says which one field is wrong, and why in a sentence that begins with the field's name.
    pub fn field(field: &str, rule: &'static str, why: &str) -> Self {
        let message = format!("{field}: {why}");
        Self::fields(vec![FieldFault { field: field.to_owned(), rule, message }])
    }

    /// Says where a body is not what it should be; the sentence names places and kinds, not what was sent.
    pub fn bad_body(why: String) -> Self {
        Self { message: Some(why), ..Condition::BadBody.into() }
    }
}

impl From<Condition> for Refused {
    fn from(condition: Condition) -> Self {
        Self { condition, message: None, fields: Vec::new(), allow: None, retry_in: None, closes: false }
    }
}

impl From<Blocked> for Refused {
    fn from(blocked: Blocked) -> Self {
        Self { retry_in: Some(blocked.retry_in), ..Condition::RateLimited.into() }
    }
}

impl From<BodyTrouble> for Refused {
    fn from(trouble: BodyTrouble) -> Self {
        let condition = match trouble {
            BodyTrouble::TooLong => Condition::TooLarge,
            BodyTrouble::TooSlow => Condition::Timeout,
            BodyTrouble::Broken => Condition::BadBody,
        };
        Self { closes: true, ..condition.into() }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let condition = match &error {
            StoreError::Refused(refusal) => condition_of(*refusal),
            StoreError::StorageFull | StoreError::Unavailable(_) | StoreError::Failed(_) => {
                Condition::Unavailable
            }
            StoreError::Damaged(_) => Condition::Internal,
        };
        match &error {
            // A state of the disk, which readiness and the store's own log tell of.
            StoreError::StorageFull => tracing::warn!("a request was refused because the disk is full"),
            _ if matches!(condition, Condition::Unavailable | Condition::Internal) => {
                tracing::error!(%error, "a request could not be served");
            }
            _ => {}
        }
        let retry_in = (condition == Condition::Unavailable).then_some(STORE_PAUSE);
        Self { retry_in, ..condition.into() }
    }
}

fn condition_of(refusal: Refusal) -> Condition {
    match refusal {
        Refusal::NotFound => Condition::NotFound,
        Refusal::Taken => Condition::Internal,
        Refusal::WebhookLimit => Condition::WebhookLimit,
        Refusal::DuplicateUrl => Condition::DuplicateUrl,
        Refusal::IdempotencyConflict => Condition::Idempotency,
        Refusal::WrongState
        | Refusal::NameTaken
        | Refusal::TokenLimit
        | Refusal::RotationUnderWay
        | Refusal::KeyGiven => Condition::Conflict,
    }
}
