//! Why an event is not accepted.

use posthaste_contract::json::JsonFault;
use posthaste_store::{Refusal, StoreError};

/// Why an event is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PublishFault {
    /// It is longer than one event may be.
    #[error("an event may have at most {0} bytes")]
    TooLong(usize),
    /// It is not sound JSON, or no object.
    #[error("{0}")]
    Malformed(String),
    /// It names no audience, or two.
    #[error("an event names either an account or \"broadcast\": true")]
    Audience,
    /// Members break rules; never empty.
    #[error("members of the event break rules")]
    Members(Vec<MemberFault>),
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// The publisher's own id was used with other content.
    #[error("the id was used for an event with other content")]
    OtherContent,
    /// The store could not take it.
    #[error(transparent)]
    Store(StoreError),
}

/// A member that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFault {
    /// Where it stands, as a JSON pointer; or the name of a header.
    pub pointer: String,
    /// A sentence for people. It does not echo what was sent.
    pub detail: String,
}

impl MemberFault {
    /// A fault at a member of the outermost object.
    #[must_use]
    pub fn at(member: &str, detail: impl Into<String>) -> Self {
        let pointer = format!("/{}", member.replace('~', "~0").replace('/', "~1"));
        Self { pointer, detail: detail.into() }
    }
}

impl From<MemberFault> for PublishFault {
    fn from(fault: MemberFault) -> Self {
        Self::Members(vec![fault])
    }
}

impl From<JsonFault> for PublishFault {
    fn from(fault: JsonFault) -> Self {
        Self::Malformed(format!("the body is not sound JSON: {fault}"))
    }
}

impl From<Refusal> for PublishFault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::IdempotencyConflict => Self::OtherContent,
            Refusal::NotFound => Self::UnknownAccount,
            other => Self::Store(other.into()),
        }
    }
}
