//! What a receiver does: checking a delivery.

use std::borrow::Cow;

use aws_lc_rs::hmac;
use posthaste_core::{Secret, UnixMs};

use crate::keys::{equal_in_constant_time, hmac_key, signing_key};
use crate::model::Contract;
use crate::model::delivery::{HeaderValue, Layout, Many, SignaturePart, SignatureRule};
use crate::model::view::Source;
use crate::signing::{SigningFacts, time_spelling};

/// Why a delivery does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyFault {
    /// A header that the signature needs is not there.
    #[error("the header {0} is missing")]
    MissingHeader(String),
    /// A header does not have the form the contract says.
    #[error("the header {header} is malformed: {why}")]
    Malformed {
        /// The header.
        header: String,
        /// What is wrong with it.
        why: String,
    },
    /// The secret is not of the contract's form.
    #[error("the secret is not of the contract's form")]
    BadSecret,
    /// The signed time is too far from now.
    #[error("the signed time is {0} s away from now, more than the 300 s allowed")]
    TooFar(u64),
    /// The signature is by another secret or over another body.
    #[error("the signature in {0} does not match: another secret, or the body was changed")]
    Mismatch(String),
    /// The contract has no signatures.
    #[error("the contract does not sign deliveries")]
    Unsigned,
}

/// How far the signed time may be from the receiver's, either way.
const TOLERANCE_S: u64 = 300;

impl Contract {
    /// Checks a delivery as a receiver should. `headers` are names and values as received; `url` is where it came in,
    /// for contracts that sign it.
    ///
    /// # Errors
    /// The first reason not to trust it.
    pub fn verify_delivery(
        &self,
        headers: &[(&str, &str)],
        url: &str,
        body: &[u8],
        secret: &Secret,
        now: UnixMs,
    ) -> Result<(), VerifyFault> {
        if self.signatures.is_empty() {
            return Err(VerifyFault::Unsigned);
        }
        let received = Received { contract: self, headers, url, body };
        self.signatures.iter().try_for_each(|rule| {
            let made = rule.key.unwrap_or(self.secret.key);
            let key = signing_key(&self.secret, made, secret.expose_text()).ok_or(VerifyFault::BadSecret)?;
            received.check(rule, &hmac_key(rule.algorithm, &key), now)
        })
    }
}

/// A delivery as it came in.
struct Received<'a> {
    contract: &'a Contract,
    headers: &'a [(&'a str, &'a str)],
    url: &'a str,
    body: &'a [u8],
}

impl<'a> Received<'a> {
    fn check(&self, rule: &SignatureRule, key: &hmac::Key, now: UnixMs) -> Result<(), VerifyFault> {
        let values = self.values(rule)?;
        let mut candidates = Vec::new();
        let mut stamp = None;
        for (header, value) in values {
            let (found_stamp, signatures) = take_apart(rule, &header, value)?;
            stamp = stamp.or(found_stamp);
            candidates.extend(signatures);
        }
        let facts = SigningFacts {
            webhook_id: self.part(rule, SignaturePart::WebhookId, &Source::WebhookId)?,
            url: self.url,
            event_id: self.part(rule, SignaturePart::EventId, &Source::EventId)?,
            event_type: "",
            account_id: "",
            delivery_id: self.part(rule, SignaturePart::DeliveryId, &Source::DeliveryId)?,
            attempt_number: 1,
            at: self.signed_at(rule, stamp, now)?,
            body: self.body,
        };
        let expected = rule.signature(&facts, key);
        let matches = candidates.iter().any(|candidate| equal_in_constant_time(candidate, &expected));
        if matches { Ok(()) } else { Err(VerifyFault::Mismatch(rule.header.clone())) }
    }

    /// The headers that may hold the signature.
    fn values(&self, rule: &SignatureRule) -> Result<Vec<(String, &'a str)>, VerifyFault> {
        let names = match &rule.many {
            Many::Numbered => {
                let names = rule.header_names(self.contract.rotation.keys.max(1));
                names.map(Cow::into_owned).collect()
            }
            Many::Header(previous) => vec![rule.header.clone(), previous.clone()],
            _ => vec![rule.header.clone()],
        };
        let found: Vec<_> =
            names.iter().filter_map(|name| Some((name.clone(), self.header(name)?))).collect();
        if found.is_empty() { Err(VerifyFault::MissingHeader(rule.header.clone())) } else { Ok(found) }
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// A signed id, from the header that carries it.
    fn part(
        &self,
        rule: &SignatureRule,
        part: SignaturePart,
        source: &Source,
    ) -> Result<&'a str, VerifyFault> {
        if !rule.signed.contains(&part) {
            return Ok("");
        }
        let mut known = self.contract.delivery.headers.iter();
        let header = known.find(|header| matches!(&header.value, HeaderValue::From(s, _) if s == source));
        let name = header.map_or(source.word(), |header| header.name.as_str());
        self.header(name).ok_or_else(|| VerifyFault::MissingHeader(name.to_owned()))
    }

    /// The time that was signed, if one was; it must be near.
    fn signed_at(
        &self,
        rule: &SignatureRule,
        stamp: Option<String>,
        now: UnixMs,
    ) -> Result<UnixMs, VerifyFault> {
        if !rule.signed.contains(&SignaturePart::Timestamp) {
            return Ok(now);
        }
        let mut known = self.contract.delivery.headers.iter();
        let carrier = known.find_map(|header| match &header.value {
            HeaderValue::From(Source::AttemptTimestamp, format) => Some((header.name.as_str(), format)),
            _ => None,
        });
        let (name, text, spelling) = match (stamp, carrier) {
            (Some(text), _) => (rule.header.as_str(), text, rule.timestamp),
            (None, Some((name, format))) => {
                let text = self.header(name).ok_or_else(|| VerifyFault::MissingHeader(name.to_owned()))?;
                (name, text.to_owned(), time_spelling(format))
            }
            (None, None) => return Err(VerifyFault::MissingHeader("with the timestamp".to_owned())),
        };
        let why = || VerifyFault::Malformed { header: name.to_owned(), why: "this is no time".to_owned() };
        let at = spelling.read(&text).ok_or_else(why)?;
        let away_s = now.since(at).max(at.since(now)).as_secs();
        if away_s > TOLERANCE_S { Err(VerifyFault::TooFar(away_s)) } else { Ok(at) }
    }
}

/// The time, if it stands there, and the signatures in a header's value.
fn take_apart(
    rule: &SignatureRule,
    header: &str,
    value: &str,
) -> Result<(Option<String>, Vec<String>), VerifyFault> {
    let malformed = |why: String| VerifyFault::Malformed { header: header.to_owned(), why };
    let pieces: Vec<&str> = match &rule.many {
        Many::Join(by) => value.split(by.as_str()).collect(),
        _ => vec![value],
    };
    match &rule.layout {
        Layout::Bare => Ok((None, pieces.into_iter().map(str::to_owned).collect())),
        Layout::Prefix(prefix) => {
            let stripped = pieces.into_iter().filter_map(|piece| piece.strip_prefix(prefix.as_str()));
            let found: Vec<String> = stripped.map(str::to_owned).collect();
            if found.is_empty() {
                Err(malformed(format!("it does not begin with {prefix}")))
            } else {
                Ok((None, found))
            }
        }
        Layout::Pairs { timestamp, signature, by } => {
            let pairs: Vec<(&str, &str)> =
                value.split(by.as_str()).filter_map(|pair| pair.split_once('=')).collect();
            let named = |wanted: &str| {
                let of_name = pairs.iter().filter(|(name, _)| name.trim() == wanted);
                of_name.map(|(_, value)| (*value).to_owned()).collect::<Vec<_>>()
            };
            let stamp = timestamp.as_deref().and_then(|name| named(name).into_iter().next());
            let found = named(signature);
            if found.is_empty() {
                Err(malformed(format!("it holds no {signature}=")))
            } else {
                Ok((stamp, found))
            }
        }
    }
}
