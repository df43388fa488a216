//! Building the bodies of deliveries.

use bytes::Bytes;
use posthaste_core::{EventBody, UnixMs};

use crate::json::{self, JsonFault, write_string};
use crate::model::Contract;
use crate::model::delivery::{PayloadMember, PayloadValue};
use crate::model::view::{Format, Source};
use crate::render::spell_time;

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
        let members = json::members(data, json::DEPTH_MAX).map_err(|fault| match fault {
            JsonFault::NotAnObject => DataFault::NotAnObject,
            other => DataFault::Malformed(other.to_string()),
        })?;
        if let Some(siblings) = self.payload.siblings_of_spread() {
            let repeated = siblings.iter().find(|name| members.iter().any(|(key, _)| key == **name));
            if let Some(name) = repeated {
                return Err(DataFault::RepeatsEnvelope((*name).to_owned()));
            }
        }
        std::str::from_utf8(data).map_err(|fault| DataFault::Malformed(fault.to_string()))
    }

    /// As [`Contract::check_data`], for text known to be one sound JSON value of allowed depth, such as a member that
    /// [`json::members`] answered: it is read again only where the contract spreads data among other members.
    ///
    /// # Errors
    /// See [`DataFault`].
    pub fn check_sound_data(&self, data: &str) -> Result<(), DataFault> {
        if !data.starts_with('{') {
            return Err(DataFault::NotAnObject);
        }
        match self.payload.siblings_of_spread() {
            Some(_) => self.check_data(data.as_bytes()).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The body to send. The data lies in it as the bytes that came.
    #[must_use]
    pub fn build_body(&self, facts: &PayloadFacts<'_>) -> EventBody {
        let text = String::with_capacity(facts.data.len() + 256);
        let mut writer = Writer { facts, text, data: 0..0, account_at: None };
        writer.object(&self.payload.members);
        EventBody { bytes: Bytes::from(writer.text), data: writer.data, account_at: writer.account_at }
    }
}

struct Writer<'a> {
    facts: &'a PayloadFacts<'a>,
    text: String,
    data: std::ops::Range<u32>,
    account_at: Option<u32>,
}

impl Writer<'_> {
    fn object(&mut self, members: &[PayloadMember]) {
        self.text.push('{');
        let mut is_first = true;
        for member in members {
            match member {
                PayloadMember::SpreadData => {
                    let inside = between_braces(self.facts.data);
                    let before = self.place();
                    self.data = before..before;
                    if !inside.trim().is_empty() {
                        self.comma(&mut is_first);
                        self.splice(inside);
                    }
                }
                PayloadMember::Named(name, value) => {
                    self.comma(&mut is_first);
                    write_string(&mut self.text, name);
                    self.text.push(':');
                    self.value(value);
                }
            }
        }
        self.text.push('}');
    }

    fn value(&mut self, value: &PayloadValue) {
        match value {
            PayloadValue::Const(text) => self.text.push_str(text),
            PayloadValue::Object(inner) => self.object(inner),
            PayloadValue::Data => {
                self.text.push('{');
                self.splice(between_braces(self.facts.data));
                self.text.push('}');
            }
            PayloadValue::From(source, format) => self.ours(source, format),
        }
    }

    fn ours(&mut self, source: &Source, format: &Format) {
        match source {
            Source::EventId => write_string(&mut self.text, self.facts.event_id),
            Source::EventType => write_string(&mut self.text, self.facts.event_type),
            Source::EventOccurredAt => self.text.push_str(&spell_time(self.facts.occurred_at, format)),
            Source::EventAccount => match self.facts.account_id {
                Some(id) => write_string(&mut self.text, id),
                None => self.account_at = Some(self.place()),
            },
            _ => self.text.push_str("null"),
        }
    }

    fn splice(&mut self, data: &str) {
        let start = self.place();
        self.text.push_str(data);
        self.data = start..self.place();
    }

    fn comma(&mut self, is_first: &mut bool) {
        if !std::mem::take(is_first) {
            self.text.push(',');
        }
    }

    fn place(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }
}

/// What stands between the braces of an object, as it came.
fn between_braces(object: &str) -> &str {
    let inside = object.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inside.unwrap_or_default()
}
