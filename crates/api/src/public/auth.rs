//! Who is calling.
//!
//! A credential counts only if it stands there exactly once and exactly as written: no first of several, no trimming,
//! no other place.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use posthaste_contract::Condition;
use posthaste_contract::model::{Auth, Encoding, HmacRequest, Scheme};
use posthaste_contract::signing::{RequestFault, SignedRequest};
use posthaste_core::{ApiKey, Secret, UnixMs};
use posthaste_store::Store;

use super::refusal::Refused;
use crate::padding::Padded;

/// The longest key looked up.
const KEY_MAX_BYTES: usize = 512;

/// What is remembered of a signed request, so that it is obeyed only once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once {
    /// Stands for the caller and the signature.
    pub token: [u8; 32],
    /// When the request would be refused for its age alone.
    pub until: UnixMs,
}

/// What a caller shows to name themselves, as it stands in the headers.
pub(super) fn shown<'h>(auth: &Auth, headers: &'h HeaderMap) -> impl Iterator<Item = &'h [u8]> {
    let name = match &auth.scheme {
        Scheme::ApiKey { header } => header,
        Scheme::HmacRequest(rule) => &rule.key_header,
        Scheme::Bearer | Scheme::Basic => AUTHORIZATION.as_str(),
    };
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}

/// The signature as it stands in the headers.
pub(super) fn proof<'h>(rule: &HmacRequest, headers: &'h HeaderMap) -> &'h [u8] {
    headers.get(&rule.signature_header).map_or(&[], HeaderValue::as_bytes)
}

/// Do blanks stand behind a credential, which the HTTP library took away? Then it is not the one we gave.
pub(super) fn is_padded(auth: &Auth, head: &Parts) -> bool {
    let Some(padded) = head.extensions.get::<Padded>() else { return false };
    match &auth.scheme {
        Scheme::ApiKey { header } => padded.has(header),
        Scheme::Bearer | Scheme::Basic => padded.has(AUTHORIZATION.as_str()),
        Scheme::HmacRequest(rule) => [&rule.key_header, &rule.timestamp_header, &rule.signature_header]
            .iter()
            .any(|name| padded.has(name)),
    }
}

/// Finds the caller's key, if the credential is one of ours and still good. Signatures come later: they need the body.
pub(super) async fn identify(
    store: &dyn Store,
    auth: &Auth,
    headers: &HeaderMap,
    now: UnixMs,
) -> Result<Arc<ApiKey>, Refused> {
    let text = key_text(auth, headers)?;
    if text.is_empty() || text.len() > KEY_MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Condition::AuthInvalid.into());
    }
    let key = store.find_key(&Secret::from(text)).await?.ok_or(Condition::AuthInvalid)?;
    if key.is_active(now) { Ok(key) } else { Err(Condition::AuthInactive.into()) }
}

/// Checks a signed request against its caller's signing secret.
pub(super) fn verify(
    rule: &HmacRequest,
    key: &ApiKey,
    head: &Parts,
    body: &[u8],
    now: UnixMs,
) -> Result<Once, Refused> {
    let signature = single(&head.headers, &rule.signature_header)?;
    let request = SignedRequest {
        timestamp: single(&head.headers, &rule.timestamp_header)?,
        signature,
        method: head.method.as_str(),
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()),
        body,
    };
    let secret = key.signing_secret.as_ref().ok_or(Condition::AuthInvalid)?;
    let until = rule.verify(&request, secret, now).map_err(|fault| match fault {
        RequestFault::Skew => Condition::AuthSkew,
        RequestFault::Signature => Condition::AuthInvalid,
    })?;
    Ok(Once { token: token(rule.encoding, key, signature), until })
}

/// The same for every spelling of one signature.
fn token(encoding: Encoding, key: &ApiKey, signature: &str) -> [u8; 32] {
    let signature = match encoding {
        Encoding::Hex => signature.to_ascii_lowercase().into_bytes(),
        Encoding::Base64 => STANDARD.decode(signature).unwrap_or_else(|_| signature.as_bytes().to_vec()),
    };
    let text = [key.id.as_bytes(), b"\0", &signature].concat();
    let mut token = [0; 32];
    token.copy_from_slice(digest(&SHA256, &text).as_ref());
    token
}

fn key_text(auth: &Auth, headers: &HeaderMap) -> Result<String, Refused> {
    match &auth.scheme {
        Scheme::ApiKey { header } => Ok(single(headers, header)?.to_owned()),
        Scheme::Bearer => Ok(after_scheme(headers, "bearer")?.to_owned()),
        Scheme::Basic => basic_user(after_scheme(headers, "basic")?),
        Scheme::HmacRequest(rule) => {
            single(headers, &rule.timestamp_header)?;
            single(headers, &rule.signature_header)?;
            Ok(single(headers, &rule.key_header)?.to_owned())
        }
    }
}

/// The value of a header that must be there exactly once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Condition::AuthMissing.into()),
        (Some(value), None) => value.to_str().map_err(|_| Condition::AuthInvalid.into()),
        (Some(_), Some(_)) => Err(Condition::AuthInvalid.into()),
    }
}

/// What stands after the scheme's name and exactly one space.
fn after_scheme<'h>(headers: &'h HeaderMap, scheme: &str) -> Result<&'h str, Refused> {
    let value = single(headers, AUTHORIZATION.as_str())?;
    match value.split_once(' ') {
        Some((name, credential)) if name.eq_ignore_ascii_case(scheme) => Ok(credential),
        _ => Err(Condition::AuthInvalid.into()),
    }
}

/// The user name of basic credentials with an empty password.
fn basic_user(credential: &str) -> Result<String, Refused> {
    let invalid = || Refused::from(Condition::AuthInvalid);
    let decoded = STANDARD.decode(credential).map_err(|_| invalid())?;
    let text = String::from_utf8(decoded).map_err(|_| invalid())?;
    match text.split_once(':') {
        Some((user, "")) => Ok(user.to_owned()),
        _ => Err(invalid()),
    }
}
