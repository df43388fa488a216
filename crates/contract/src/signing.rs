//! The headers of deliveries, and signatures of requests.

mod ready;
mod request;

use std::borrow::Cow;
use std::fmt::Write as _;

use aws_lc_rs::hmac;
use posthaste_core::{Secret, UnixMs};

use crate::keys::{sign, spell};
use crate::model::Contract;
use crate::model::delivery::{HeaderValue, Layout, Many, SignaturePart, SignatureRule, TimeSpelling};
use crate::model::view::{Format, Source};

pub use ready::SigningKeys;
pub use request::{RequestFault, SignedRequest};

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
        self.signatures_by(facts, &SigningKeys::of(self, secrets.iter().map(|secret| (*secret, None))))
    }

    /// As [`Contract::signature_values`], by secrets that were made ready before; those that sign at the time of the
    /// attempt do.
    #[must_use]
    pub fn signatures_by(&self, facts: &SigningFacts<'_>, keys: &SigningKeys) -> Vec<String> {
        let mut values = Vec::with_capacity(self.signatures.len());
        for (number, rule) in self.signatures.iter().enumerate() {
            rule.write_values(facts, keys.signing(number, facts.at, self.rotation.keys.max(1)), &mut values);
        }
        values
    }

    /// All headers of an attempt that the contract decides, given the signature values: those just computed, or those
    /// a finished attempt remembers (then the body in `facts` is not looked at).
    #[must_use]
    pub fn delivery_headers(
        &self,
        facts: &SigningFacts<'_>,
        signature_values: &[String],
    ) -> Vec<(String, String)> {
        let mut made = Vec::new();
        self.write_delivery_headers(facts, signature_values, |name, value| {
            made.push((name.to_owned(), value.to_owned()));
        });
        made
    }

    /// As [`Contract::delivery_headers`], name and value of each handed to `sink`.
    pub fn write_delivery_headers(
        &self,
        facts: &SigningFacts<'_>,
        signature_values: &[String],
        mut sink: impl FnMut(&str, &str),
    ) {
        sink("Content-Type", &self.delivery.content_type);
        let mut room = String::new();
        for header in &self.delivery.headers {
            let value = match &header.value {
                HeaderValue::Const(text) => text,
                HeaderValue::From(source, format) => header_value(source, format, facts, &mut room),
            };
            sink(&header.name, value);
        }
        let names = self.signature_header_names(signature_values.len());
        names.zip(signature_values).for_each(|(name, value)| sink(&name, value));
    }

    /// The names of the signature headers when there are so many values. The number of secrets that signed is not
    /// remembered; it follows from the number of values.
    fn signature_header_names(&self, values: usize) -> impl Iterator<Item = Cow<'_, str>> {
        let most = self.rotation.keys.max(1);
        let count =
            |secrets: &usize| self.signatures.iter().map(|rule| rule.header_count(*secrets)).sum::<usize>();
        let secrets = (1..=most).find(|secrets| count(secrets) >= values).unwrap_or(most);
        self.signatures.iter().flat_map(move |rule| rule.header_names(secrets))
    }
}

impl SignatureRule {
    fn header_count(&self, secrets: usize) -> usize {
        match &self.many {
            Many::Header(_) => secrets.clamp(1, 2),
            Many::Numbered => secrets,
            Many::Join(_) | Many::Newest | Many::Repeat => 1,
        }
    }

    /// The headers that so many secrets fill.
    pub(crate) fn header_names(&self, secrets: usize) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.header_count(secrets)).map(|number| match (&self.many, number) {
            (Many::Numbered, number) => Cow::Owned(format!("{}-{}", self.header, number + 1)),
            (Many::Header(previous), 1) => Cow::Borrowed(previous.as_str()),
            _ => Cow::Borrowed(self.header.as_str()),
        })
    }

    fn write_values<'a>(
        &self,
        facts: &SigningFacts<'_>,
        mut keys: impl Iterator<Item = &'a hmac::Key>,
        values: &mut Vec<String>,
    ) {
        let stamp = self.timestamp.spell(facts.at);
        let one = |key| self.header_value(facts, &stamp, std::iter::once(key));
        match &self.many {
            Many::Newest => values.extend(keys.take(1).map(one)),
            Many::Header(_) => values.extend(keys.take(2).map(one)),
            Many::Numbered => values.extend(keys.map(one)),
            Many::Join(by) => {
                let mut joined = keys.next().map(one).unwrap_or_default();
                for key in keys {
                    joined.push_str(by);
                    joined.push_str(&one(key));
                }
                values.push(joined);
            }
            Many::Repeat => values.push(self.header_value(facts, &stamp, keys)),
        }
    }

    /// The value of one header, with a signature by each key.
    fn header_value<'a>(
        &self,
        facts: &SigningFacts<'_>,
        stamp: &str,
        keys: impl Iterator<Item = &'a hmac::Key>,
    ) -> String {
        /// Holds any one signature with what stands around it.
        const USUAL_BYTES: usize = 128;
        let mut value = String::with_capacity(USUAL_BYTES);
        self.layout.begin(stamp, &mut value);
        for (number, key) in keys.enumerate() {
            self.layout.before_signature(number, &mut value);
            self.write_signature(facts, stamp, key, &mut value);
        }
        value
    }

    /// The signature by one key, without what stands around it.
    pub(crate) fn signature(&self, facts: &SigningFacts<'_>, key: &hmac::Key) -> String {
        let mut spelled = String::new();
        self.write_signature(facts, &self.timestamp.spell(facts.at), key, &mut spelled);
        spelled
    }

    fn write_signature(&self, facts: &SigningFacts<'_>, stamp: &str, key: &hmac::Key, onto: &mut String) {
        let parts = self.signed.iter().enumerate().flat_map(|(number, part)| {
            let join: &[u8] = if number > 0 { self.join.as_bytes() } else { &[] };
            let part = match part {
                SignaturePart::Body => facts.body,
                SignaturePart::Timestamp => stamp.as_bytes(),
                SignaturePart::EventId => facts.event_id.as_bytes(),
                SignaturePart::DeliveryId => facts.delivery_id.as_bytes(),
                SignaturePart::WebhookId => facts.webhook_id.as_bytes(),
                SignaturePart::Url => facts.url.as_bytes(),
                SignaturePart::Text(text) => text.as_bytes(),
            };
            [join, part]
        });
        spell(self.encoding, sign(key, parts).as_ref(), onto);
    }
}

impl Layout {
    /// Writes what stands before all signatures.
    fn begin(&self, stamp: &str, onto: &mut String) {
        match self {
            Self::Bare | Self::Pairs { timestamp: None, .. } => {}
            Self::Prefix(prefix) => onto.push_str(prefix),
            Self::Pairs { timestamp: Some(name), .. } => {
                onto.push_str(name);
                onto.push('=');
                onto.push_str(stamp);
            }
        }
    }

    /// Writes what stands before one signature, of which there were `number` before.
    fn before_signature(&self, number: usize, onto: &mut String) {
        let Self::Pairs { timestamp, signature, by } = self else { return };
        if number > 0 || timestamp.is_some() {
            onto.push_str(by);
        }
        onto.push_str(signature);
        onto.push('=');
    }
}

impl TimeSpelling {
    /// A time as text.
    #[must_use]
    pub fn spell(self, at: UnixMs) -> String {
        let mut spelled = String::new();
        self.write(at, &mut spelled);
        spelled
    }

    fn write(self, at: UnixMs, onto: &mut String) {
        // Writing to a string does not fail.
        let _ = match self {
            Self::Unix => write!(onto, "{}", at.seconds()),
            Self::UnixMs => write!(onto, "{}", at.0),
            Self::Rfc3339 => onto.write_str(&at.rfc3339()),
            Self::Rfc3339Ms => onto.write_str(&at.rfc3339_ms()),
        };
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

/// The value of a header; what has to be spelled is spelled into `room`.
fn header_value<'a>(
    source: &Source,
    format: &Format,
    facts: &SigningFacts<'a>,
    room: &'a mut String,
) -> &'a str {
    room.clear();
    match source {
        Source::EventId => return facts.event_id,
        Source::EventType => return facts.event_type,
        Source::EventAccount | Source::WebhookAccount => return facts.account_id,
        Source::WebhookId => return facts.webhook_id,
        Source::DeliveryId => return facts.delivery_id,
        Source::AttemptNumber => drop(write!(room, "{}", facts.attempt_number)),
        Source::AttemptTimestamp => time_spelling(format).write(facts.at, room),
        _ => {}
    }
    room
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
