//! The headers of deliveries, and signatures of requests.

use posthaste_core::{Secret, UnixMs};

use crate::keys::{equal_in_constant_time, sign, signing_key, spell};
use crate::model::delivery::{HeaderValue, Layout, Many, SignaturePart, SignatureRule, TimeSpelling};
use crate::model::view::{Format, Source};
use crate::model::{Contract, HmacRequest, RequestPart};

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
        let signing = &secrets[..secrets.len().min(self.rotation.keys.max(1))];
        let values = |rule: &SignatureRule| rule.header_values(facts, &self.signing_keys(rule, signing));
        self.signatures.iter().flat_map(values).collect()
    }

    /// All headers of an attempt that the contract decides, given the signature values: those just computed, or those
    /// a finished attempt remembers (then the body in `facts` is not looked at).
    #[must_use]
    pub fn delivery_headers(
        &self,
        facts: &SigningFacts<'_>,
        signature_values: &[String],
    ) -> Vec<(String, String)> {
        let mut made = vec![("Content-Type".to_owned(), self.delivery.content_type.clone())];
        for header in &self.delivery.headers {
            let value = match &header.value {
                HeaderValue::Const(text) => text.clone(),
                HeaderValue::From(source, format) => header_value(source, format, facts),
            };
            made.push((header.name.clone(), value));
        }
        let names = self.signature_header_names(signature_values.len());
        made.extend(names.into_iter().zip(signature_values.iter().cloned()));
        made
    }

    fn signing_keys(&self, rule: &SignatureRule, secrets: &[&Secret]) -> Vec<Vec<u8>> {
        let made = rule.key.unwrap_or(self.secret.key);
        secrets.iter().filter_map(|secret| signing_key(&self.secret, made, secret.expose_text())).collect()
    }

    /// The names of the signature headers when there are so many values. The number of secrets that signed is not
    /// remembered; it follows from the number of values.
    fn signature_header_names(&self, values: usize) -> Vec<String> {
        let names_for = |secrets: usize| -> Vec<String> {
            self.signatures.iter().flat_map(|rule| rule.header_names(secrets)).collect()
        };
        let most = self.rotation.keys.max(1);
        (1..=most).map(names_for).find(|names| names.len() >= values).unwrap_or_else(|| names_for(most))
    }
}

impl SignatureRule {
    /// The headers that so many secrets fill.
    pub(crate) fn header_names(&self, secrets: usize) -> Vec<String> {
        let main = self.header.clone();
        match &self.many {
            Many::Header(previous) if secrets > 1 => vec![main, previous.clone()],
            Many::Numbered => (1..=secrets).map(|n| format!("{main}-{n}")).collect(),
            _ => vec![main],
        }
    }

    fn header_values(&self, facts: &SigningFacts<'_>, keys: &[Vec<u8>]) -> Vec<String> {
        let signatures: Vec<String> = keys.iter().map(|key| self.signature(facts, key)).collect();
        let stamp = self.timestamp.spell(facts.at);
        let one = |signature: &String| self.layout.around(&stamp, &[signature.as_str()]);
        match &self.many {
            Many::Newest => signatures.iter().take(1).map(one).collect(),
            Many::Header(_) => signatures.iter().take(2).map(one).collect(),
            Many::Numbered => signatures.iter().map(one).collect(),
            Many::Join(by) => vec![signatures.iter().map(one).collect::<Vec<_>>().join(by)],
            Many::Repeat => {
                let all: Vec<&str> = signatures.iter().map(String::as_str).collect();
                vec![self.layout.around(&stamp, &all)]
            }
        }
    }

    /// The signature by one key, without what stands around it.
    pub(crate) fn signature(&self, facts: &SigningFacts<'_>, key: &[u8]) -> String {
        let stamp = self.timestamp.spell(facts.at);
        let mut parts: Vec<&[u8]> = Vec::with_capacity(self.signed.len() * 2);
        for (n, part) in self.signed.iter().enumerate() {
            if n > 0 {
                parts.push(self.join.as_bytes());
            }
            parts.push(match part {
                SignaturePart::Body => facts.body,
                SignaturePart::Timestamp => stamp.as_bytes(),
                SignaturePart::EventId => facts.event_id.as_bytes(),
                SignaturePart::DeliveryId => facts.delivery_id.as_bytes(),
                SignaturePart::WebhookId => facts.webhook_id.as_bytes(),
                SignaturePart::Url => facts.url.as_bytes(),
                SignaturePart::Text(text) => text.as_bytes(),
            });
        }
        spell(self.encoding, &sign(self.algorithm, key, &parts))
    }
}

impl Layout {
    fn around(&self, stamp: &str, signatures: &[&str]) -> String {
        match self {
            Self::Bare => signatures.concat(),
            Self::Prefix(prefix) => format!("{prefix}{}", signatures.concat()),
            Self::Pairs { timestamp, signature, by } => {
                let stamped = timestamp.iter().map(|name| format!("{name}={stamp}"));
                let signed = signatures.iter().map(|value| format!("{signature}={value}"));
                stamped.chain(signed).collect::<Vec<_>>().join(by)
            }
        }
    }
}

impl TimeSpelling {
    /// A time as text.
    #[must_use]
    pub fn spell(self, at: UnixMs) -> String {
        match self {
            Self::Unix => at.seconds().to_string(),
            Self::UnixMs => at.0.to_string(),
            Self::Rfc3339 => at.rfc3339(),
            Self::Rfc3339Ms => at.rfc3339_ms(),
        }
    }

    /// Reads a time from text; `None` if it is not spelled so.
    ///
    /// Seconds and milliseconds are told apart by their number of digits, which differ from 2001 to 2286.
    #[must_use]
    pub fn read(self, text: &str) -> Option<UnixMs> {
        const SECONDS_DIGITS: usize = 10;
        const MS_DIGITS: usize = 13;
        let number = |digits: usize| {
            let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| text.parse::<i64>().ok()).flatten()
        };
        match self {
            Self::Unix => number(SECONDS_DIGITS).map(|seconds| UnixMs(seconds * 1000)),
            Self::UnixMs => number(MS_DIGITS).map(UnixMs),
            Self::Rfc3339 | Self::Rfc3339Ms => UnixMs::parse_rfc3339(text),
        }
    }
}

fn header_value(source: &Source, format: &Format, facts: &SigningFacts<'_>) -> String {
    match source {
        Source::EventId => facts.event_id.to_owned(),
        Source::EventType => facts.event_type.to_owned(),
        Source::EventAccount | Source::WebhookAccount => facts.account_id.to_owned(),
        Source::WebhookId => facts.webhook_id.to_owned(),
        Source::DeliveryId => facts.delivery_id.to_owned(),
        Source::AttemptNumber => facts.attempt_number.to_string(),
        Source::AttemptTimestamp => time_spelling(format).spell(facts.at),
        _ => String::new(),
    }
}

/// The spelling of a time in a header.
pub(crate) fn time_spelling(format: &Format) -> TimeSpelling {
    match format {
        Format::Unix => TimeSpelling::Unix,
        Format::UnixMs => TimeSpelling::UnixMs,
        Format::Rfc3339Ms => TimeSpelling::Rfc3339Ms,
        _ => TimeSpelling::Rfc3339,
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
        let at = self.timestamps.iter().find_map(|spelling| spelling.read(request.timestamp));
        let at = at.ok_or(RequestFault::Skew)?;
        if now.since(at) > self.skew || at.since(now) > self.skew {
            return Err(RequestFault::Skew);
        }
        let is_signed = self
            .forms
            .iter()
            .any(|form| equal_in_constant_time(&self.signature(form, request, secret), request.signature));
        if !is_signed {
            return Err(RequestFault::Signature);
        }
        Ok(at.plus(self.skew).plus(std::time::Duration::from_millis(1)))
    }

    /// The signature a caller would send: for `dev`, documentation and tests.
    #[must_use]
    pub fn sign(&self, request: &SignedRequest<'_>, secret: &Secret) -> String {
        self.forms.first().map(|form| self.signature(form, request, secret)).unwrap_or_default()
    }

    fn signature(&self, form: &[RequestPart], request: &SignedRequest<'_>, secret: &Secret) -> String {
        let path = request.target.split_once('?').map_or(request.target, |(path, _)| path);
        let mut parts: Vec<&[u8]> = Vec::with_capacity(form.len() * 2);
        for (n, part) in form.iter().enumerate() {
            if n > 0 {
                parts.push(self.join.as_bytes());
            }
            parts.push(match part {
                RequestPart::Timestamp => request.timestamp.as_bytes(),
                RequestPart::Method => request.method.as_bytes(),
                RequestPart::Path => path.as_bytes(),
                RequestPart::Target => request.target.as_bytes(),
                RequestPart::Body => request.body,
                RequestPart::Text(text) => text.as_bytes(),
            });
        }
        spell(self.encoding, &sign(self.algorithm, secret.expose(), &parts))
    }
}
