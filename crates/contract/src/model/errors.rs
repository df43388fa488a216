//! How refusals look.

use super::Index;
use super::route::words;

/// How refusals look.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// The view; an index into [`super::Contract::views`].
    pub view: Index,
    /// The media type.
    pub content_type: String,
    /// Status and code of each condition, in the order of [`Condition::WORDS`].
    pub rules: Vec<ErrorRule>,
    /// The conditions that the contract names itself; the others have stand-ins.
    pub stated: Vec<Condition>,
}

/// How one condition is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRule {
    /// The HTTP status.
    pub status: u16,
    /// The contract's code.
    pub code: String,
    /// A sentence for people, in place of the usual one.
    pub message: Option<String>,
    /// Does the answer say when to try again?
    pub retry_after: bool,
}

words! {
    /// Why a request is refused. Each contract gives each a status and code.
    Condition {
        /// No credential.
        AuthMissing = "auth_missing",
        /// A credential that is none of ours, or a signature that does not match.
        AuthInvalid = "auth_invalid",
        /// A signed request from another time.
        AuthSkew = "auth_skew",
        /// A signed write that came before.
        AuthReplay = "auth_replay",
        /// A key that was revoked or has expired.
        AuthInactive = "auth_inactive",
        /// The key may not do this.
        AccessDenied = "access_denied",
        /// Too many requests; waiting helps.
        RateLimited = "rate_limited",
        /// A quota is used up.
        QuotaExceeded = "quota_exceeded",
        /// The body is of a kind we do not read.
        Media = "media",
        /// The body is too long.
        TooLarge = "too_large",
        /// The body is not what its kind asks for.
        BadBody = "bad_body",
        /// A field breaks a rule.
        Invalid = "invalid",
        /// There is a webhook with this URL.
        DuplicateUrl = "duplicate_url",
        /// The owner has as many webhooks as allowed.
        WebhookLimit = "endpoint_limit",
        /// Not possible in the present state.
        Conflict = "conflict",
        /// The idempotency key was used for something else.
        Idempotency = "idempotency",
        /// There is no such thing, or it is not the caller's.
        NotFound = "not_found",
        /// The path knows other methods.
        Method = "method",
        /// The request did not arrive in time.
        Timeout = "timeout",
        /// Our fault.
        Internal = "internal",
        /// We cannot take it now.
        Unavailable = "unavailable",
    }
}
