//! What a caller shows to get in.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use posthaste_contract::Contract;
use posthaste_contract::model::Scheme;
use posthaste_core::Secret;

/// What the text of every named token begins with.
pub(crate) const NAMED_PREFIX: &str = "pht_";

/// Recognises the operator's token without keeping it.
pub(crate) struct TokenCheck {
    expected: Option<Digest>,
}

impl TokenCheck {
    /// An empty token lets nobody in.
    pub fn new(token: &Secret) -> Self {
        let bytes = token.expose();
        Self { expected: (!bytes.is_empty()).then(|| digest(&SHA256, bytes)) }
    }

    /// Digests are compared in constant time, so that neither length nor content shows.
    pub fn is_met_by(&self, presented: &str) -> bool {
        let presented = digest(&SHA256, presented.as_bytes());
        self.expected
            .is_some_and(|expected| verify_slices_are_equal(expected.as_ref(), presented.as_ref()).is_ok())
    }
}

/// The bearer token, if there is exactly one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = only(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The texts that could be API keys of the contract, wherever it has them, and bearer tokens.
pub(crate) fn customer_keys<'h>(
    contract: &'h Contract,
    headers: &'h HeaderMap,
) -> impl Iterator<Item = &'h str> {
    let by_contract = contract.auth.iter().filter_map(|auth| match &auth.scheme {
        Scheme::ApiKey { header } => only(headers, header),
        Scheme::HmacRequest(rule) => only(headers, &rule.key_header),
        Scheme::Bearer | Scheme::Basic => None,
    });
    by_contract.chain(bearer(headers))
}

/// What is shown to get in, as it stands in the headers.
pub(crate) fn credentials<'h>(
    contract: &'h Contract,
    headers: &'h HeaderMap,
) -> impl Iterator<Item = &'h [u8]> {
    let further = contract.auth.iter().filter_map(|auth| match &auth.scheme {
        Scheme::ApiKey { header } => Some(header.as_str()),
        Scheme::HmacRequest(rule) => Some(rule.key_header.as_str()),
        Scheme::Bearer | Scheme::Basic => None,
    });
    let further = further.flat_map(|name| headers.get_all(name));
    headers.get_all(AUTHORIZATION).iter().chain(further).map(HeaderValue::as_bytes)
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}
