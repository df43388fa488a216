//! The headers of deliveries, and signatures of requests.

use posthaste_core::{Secret, UnixMs};

use crate::model::{Contract, HmacRequest};

/// What the headers of one attempt are made of.
#[derive(Clone, Copy)]
pub struct SigningFacts<'a> {
    /// The webhook's public id.
    pub webhook_id: &'a str,
    /// Its URL as supplied.
    pub url: &'a str,
    /// The event's public id.
    pub event_id: &'a str,
    /// Its type.
    pub event_type: &'a str,
    /// The account's id, if known.
    pub account_id: &'a str,
    /// The delivery's public id.
    pub delivery_id: &'a str,
    /// 1 for the first try.
    pub attempt_number: u32,
    /// When the attempt begins.
    pub at: UnixMs,
    /// The body as sent.
    pub body: &'a [u8],
}

impl Contract {
    /// The values of the signature headers, in the contract's order: what an attempt remembers. The newest secret
    /// comes first.
    #[must_use]
    pub fn signature_values(&self, facts: &SigningFacts<'_>, secrets: &[&Secret]) -> Vec<String> {
        let _ = (facts, secrets);
        unimplemented!()
    }

    /// All headers of an attempt that the contract decides, given the signature values: those just computed, or those
    /// a finished attempt remembers (then the body in `facts` is not looked at).
    #[must_use]
    pub fn delivery_headers(
        &self,
        facts: &SigningFacts<'_>,
        signature_values: &[String],
    ) -> Vec<(String, String)> {
        let _ = (facts, signature_values);
        unimplemented!()
    }
}

/// A signed request as it came.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The timestamp header's value.
    pub timestamp: &'a str,
    /// The signature header's value.
    pub signature: &'a str,
    /// The method in capitals.
    pub method: &'a str,
    /// The path with its query.
    pub target: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Why a signed request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// The time is none, or too far from ours: the condition `auth_skew`.
    #[error("the timestamp is missing, malformed or too far from the server's time")]
    Skew,
    /// The signature does not match: the condition `auth_invalid`.
    #[error("the signature does not match")]
    Signature,
}

impl HmacRequest {
    /// Does the request carry a signature by this secret from around `now`? On success, the time from which on the
    /// same request would be refused for its age: until then its signature must be remembered to refuse replays.
    ///
    /// # Errors
    /// See [`RequestFault`].
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &Secret,
        now: UnixMs,
    ) -> Result<UnixMs, RequestFault> {
        let _ = (request, secret, now);
        unimplemented!()
    }

    /// The signature a caller would send: for `dev`, documentation and tests.
    #[must_use]
    pub fn sign(&self, request: &SignedRequest<'_>, secret: &Secret) -> String {
        let _ = (request, secret);
        unimplemented!()
    }
}
