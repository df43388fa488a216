//! Building the bodies of deliveries.

use posthaste_core::{EventBody, UnixMs};

use crate::model::Contract;

/// What a body is made of.
#[derive(Debug, Clone, Copy)]
pub struct PayloadFacts<'a> {
    /// The event's public id.
    pub event_id: &'a str,
    /// Its type.
    pub event_type: &'a str,
    /// The account's id; `None` for broadcasts, whose bodies get a gap where it belongs.
    pub account_id: Option<&'a str>,
    /// When it was accepted.
    pub occurred_at: UnixMs,
    /// The publisher's data object, as checked by [`Contract::check_data`].
    pub data: &'a str,
}

/// Why a publisher's data is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataFault {
    /// It is not sound JSON.
    #[error("data is not sound JSON: {0}")]
    Malformed(String),
    /// It is JSON, but no object.
    #[error("data must be a JSON object")]
    NotAnObject,
    /// A member would stand twice in the body sent.
    #[error("data.{0} would repeat a member of the envelope")]
    RepeatsEnvelope(String),
}

impl Contract {
    /// Checks a publisher's data object: one pass, nothing is built. The text may be spliced into a body after that.
    ///
    /// # Errors
    /// See [`DataFault`].
    pub fn check_data<'a>(&self, data: &'a [u8]) -> Result<&'a str, DataFault> {
        let _ = data;
        unimplemented!()
    }

    /// The body to send. The data lies in it as the bytes that came.
    #[must_use]
    pub fn build_body(&self, facts: &PayloadFacts<'_>) -> EventBody {
        let _ = facts;
        unimplemented!()
    }
}
