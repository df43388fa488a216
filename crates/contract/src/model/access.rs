//! Who may call, what they may do, and how often.

use std::time::Duration;

use posthaste_core::rate::RateLimit;

use super::Basis;
use super::delivery::{Algorithm, Encoding, TimeSpelling};
use super::route::words;

/// One way for a caller to say who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Its name in the contract.
    pub name: String,
    /// Where the credential stands and what it is.
    pub scheme: Scheme,
    /// What keys look like.
    pub key: KeyFormat,
}

/// Where a credential stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// The key alone in a header of this name.
    ApiKey {
        /// The header.
        header: String,
    },
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `Authorization: Basic`, the key as user name and an empty password.
    Basic,
    /// The key in a header, and the request signed with the key's signing secret.
    HmacRequest(Box<HmacRequest>),
}

/// How requests are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacRequest {
    /// The header with the key.
    pub key_header: String,
    /// The header with the time.
    pub timestamp_header: String,
    /// The spellings of the time that are taken.
    pub timestamps: Vec<TimeSpelling>,
    /// How far the time may be from ours, either way.
    pub skew: Duration,
    /// The header with the signature.
    pub signature_header: String,
    /// How it is computed.
    pub algorithm: Algorithm,
    /// How it is spelled.
    pub encoding: Encoding,
    /// The accepted texts to sign; one has to match.
    pub forms: Vec<Vec<RequestPart>>,
    /// What stands between the parts.
    pub join: String,
    /// What signing secrets look like.
    pub secret: KeyFormat,
    /// Is a signed write refused when it comes a second time inside the window?
    pub refuses_replays: bool,
}

/// A part of the text a caller signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPart {
    /// The timestamp header as sent.
    Timestamp,
    /// The method in capitals.
    Method,
    /// The path without its query.
    Path,
    /// The path with its query.
    Target,
    /// The body.
    Body,
    /// Fixed text.
    Text(String),
}

/// What a generated key or signing secret looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFormat {
    /// Text in front.
    pub prefix: String,
    /// The characters drawn from.
    pub digits: &'static str,
    /// How many are drawn.
    pub length: usize,
    /// If the key's level (tier or role) is part of its text: what stands after it.
    pub level_separator: Option<String>,
}

/// What callers may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// How rights are expressed.
    pub kind: AccessKind,
    /// Whether a webhook belongs to the key that made it or to the account.
    pub owner: Owner,
}

/// How rights are expressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessKind {
    /// Every key may do everything.
    None,
    /// Each key has one tier; lowest first, a higher one may do all a lower one may.
    Tier(Vec<String>),
    /// Each key has roles; lowest first, likewise.
    Role(Vec<String>),
    /// Each key has scopes, independent of each other.
    Scope(Vec<String>),
}

/// What a route asks of a key: the place of a tier, role or scope in [`AccessKind`]'s list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need(pub usize);

/// Whom something belongs to or is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The API key.
    Key,
    /// The account.
    Account,
}

/// How many webhooks one owner may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most; `None` for no limit.
    pub max_webhooks: Option<u32>,
    /// Counted by.
    pub per: Owner,
    /// Must the URLs of an account's webhooks differ?
    pub unique_url: bool,
}

/// How many requests a caller may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Its name in the contract.
    pub name: String,
    /// Counted by.
    pub per: Owner,
    /// Units and window.
    pub limit: RateLimit,
    /// What one request costs.
    pub unit: RateUnit,
    /// Which headers tell callers where they stand.
    pub headers: RateHeaders,
    /// Where this comes from.
    pub basis: Basis,
}

/// What one request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateUnit {
    /// One unit.
    Request,
    /// The weight of its route.
    Weight,
}

/// Which headers tell callers where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateHeaders {
    /// None.
    None,
    /// `X-RateLimit-Limit`, `-Remaining`, and `-Reset` in Unix seconds.
    XRateLimit,
    /// `RateLimit-Limit`, `-Remaining`, and `-Reset` in seconds from now.
    RateLimit,
}

/// How signing secrets are made and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRule {
    /// Who brings it.
    pub origin: SecretOrigin,
    /// How generated ones are spelled.
    pub encoding: SecretEncoding,
    /// How many random bytes a generated one has.
    pub bytes: usize,
    /// Text in front of the encoded bytes.
    pub prefix: String,
    /// How the signing key is made from the text.
    pub key: SecretKey,
    /// Which answers show it; the views say the same in detail.
    pub shown: SecretShown,
    /// The least characters of a caller's own.
    pub min_chars: usize,
    /// The most characters of a caller's own.
    pub max_chars: usize,
}

impl Default for SecretRule {
    fn default() -> Self {
        Self {
            origin: SecretOrigin::Server,
            encoding: SecretEncoding::Hex,
            bytes: 32,
            prefix: String::new(),
            key: SecretKey::Utf8,
            shown: SecretShown::Once,
            min_chars: 1,
            max_chars: 256,
        }
    }
}

/// Which answers show a signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretShown {
    /// Those that make it.
    Once,
    /// All.
    Always,
    /// None.
    Never,
}

/// Who brings a signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOrigin {
    /// We make it.
    Server,
    /// The customer brings it.
    Caller,
    /// The customer may bring one; else we make it.
    Either,
}

/// How generated secrets are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretEncoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Base 64 with padding.
    Base64,
    /// URL-safe base 64 without padding.
    Base64Url,
    /// As many digits and letters as URL-safe base 64 would take: valid in either base 64.
    Alnum,
}

words! {
    /// How the signing key is made from a secret's text.
    SecretKey {
        /// The bytes of the whole text, prefix included.
        Utf8 = "utf8",
        /// What stands after the prefix, decoded from base 64.
        Base64 = "base64",
        /// What stands after the prefix, decoded from hexadecimal.
        Hex = "hex",
    }
}
