//! One field after the other.

use std::borrow::Cow;

use posthaste_core::{Secret, Subscription, Webhook, WebhookState};

use super::decimal::{is_decimal, is_positive};
use super::{BodyFault, FieldFault, Values};
use crate::json::{self, Value};
use crate::keys::signing_key;
use crate::model::Contract;
use crate::model::events::Catalogue;
use crate::model::input::{FieldRule, Input, InputField, Target};

/// A field's value that passed its rule.
enum Read {
    Text(String),
    Events(Vec<String>),
    Nothing,
}

/// Why a value does not pass: the rule, and how the sentence goes on after the field's name.
struct Broken(&'static str, Cow<'static, str>);

type Passed = Result<Read, Broken>;

fn broken(rule: &'static str, says: impl Into<Cow<'static, str>>) -> Broken {
    Broken(rule, says.into())
}

/// A body being read.
pub struct Reading<'a> {
    contract: &'a Contract,
    input: &'a Input,
    current: Option<&'a Webhook>,
    values: Values,
    faults: Vec<FieldFault>,
}

impl<'a> Reading<'a> {
    pub fn new(contract: &'a Contract, input: &'a Input, current: Option<&'a Webhook>) -> Self {
        Self { contract, input, current, values: Values::default(), faults: Vec::new() }
    }

    /// Notes a member that the contract does not name. Its name came from outside and is not repeated.
    pub fn fault_unknown(&mut self) {
        let message = "The body has a member that is not known here.".to_owned();
        self.faults.push(FieldFault { field: String::new(), rule: "unknown", message });
    }

    pub fn finish(self) -> Result<Values, BodyFault> {
        if self.faults.is_empty() { Ok(self.values) } else { Err(BodyFault::Fields(self.faults)) }
    }

    pub fn field(&mut self, field: &'a InputField, value: Option<&Value<'_>>) {
        if field.only_with.as_deref().is_some_and(|event| !self.subscribes(event)) {
            return;
        }
        let default = field.default.as_deref().and_then(|text| json::parse(text.as_bytes()).ok());
        let is_null = value == Some(&Value::Null);
        let outcome = match value.or(default.as_ref()) {
            Some(value) if !(is_null && field.nullable) => pass(self.contract, field, value).map(Some),
            _ if self.is_required(field, is_null) => Err(broken("required", "is required")),
            _ => {
                if is_null {
                    self.clear(&field.to);
                }
                Ok(None)
            }
        };
        match outcome {
            Ok(Some(read)) => self.keep(&field.to, read),
            Ok(None) => {}
            Err(Broken(rule, says)) => self.faults.push(field.fault(rule, &says)),
        }
    }

    fn is_required(&self, field: &InputField, is_null: bool) -> bool {
        if field.required {
            return true;
        }
        let Some(event) = &field.required_with else { return false };
        let names_it = match self.patterns() {
            Some(patterns) => patterns.contains(event),
            None => false,
        };
        let has_it = match (&field.to, self.current) {
            (Target::Extension(name), Some(webhook)) => webhook.extension.contains_key(name) && !is_null,
            _ => false,
        };
        names_it && !has_it
    }

    /// The patterns as they will be after this request; `None` is "all".
    fn patterns(&self) -> Option<&[String]> {
        let current = self.current.map(|webhook| &webhook.subscription);
        match self.values.events.as_ref().or(current) {
            Some(Subscription::Patterns(patterns)) => Some(patterns),
            _ => None,
        }
    }

    fn subscribes(&self, event: &str) -> bool {
        let is_known = self.values.events.is_some() || self.current.is_some();
        match self.patterns() {
            Some(patterns) => Catalogue::any_covers(patterns, event),
            // Nothing sound was said about events: then that is the fault to tell.
            None => is_known || !self.input.fields.iter().any(|f| f.to == Target::Events && f.required),
        }
    }

    fn clear(&mut self, target: &Target) {
        match target {
            Target::Description => self.values.description = Some(None),
            Target::Extension(name) => {
                self.values.extension.insert(name.clone(), None);
            }
            _ => {}
        }
    }

    fn keep(&mut self, target: &Target, read: Read) {
        let values = &mut self.values;
        match (target, read) {
            (Target::Events, Read::Events(patterns)) => {
                values.events = Some(Subscription::Patterns(patterns))
            }
            (Target::Url, Read::Text(text)) => values.url = Some(text),
            (Target::Description, Read::Text(text)) => values.description = Some(Some(text)),
            (Target::Secret, Read::Text(text)) => values.secret = Some(Secret::from(text)),
            (Target::State, Read::Text(word)) => values.state = WebhookState::from_word(&word),
            (Target::Extension(name), Read::Text(text)) => {
                values.extension.insert(name.clone(), Some(text));
            }
            (Target::WebhookId, Read::Text(text)) => values.webhook_id = Some(text),
            (Target::DeliveryId, Read::Text(text)) => values.delivery_id = Some(text),
            (Target::EventType, Read::Text(text)) => values.event_type = Some(text),
            _ => {}
        }
    }
}

fn pass(contract: &Contract, field: &InputField, value: &Value<'_>) -> Passed {
    match &field.rule {
        FieldRule::Url { schemes, max, .. } => {
            pass_url(value.as_str().ok_or_else(not_a_string)?, schemes, *max)
        }
        FieldRule::Events { min, max, rejects_duplicates } => {
            pass_events(&contract.events, value, *min, *max, *rejects_duplicates)
        }
        FieldRule::String { min, max } => {
            let text = text(value)?;
            within(text, *min, *max)?;
            Ok(Read::Text(text.to_owned()))
        }
        FieldRule::Secret { min, max } => pass_secret(contract, text(value)?, *min, *max),
        FieldRule::Decimal { positive } => pass_decimal(text(value)?, *positive),
        FieldRule::Id => text(value).map(|text| Read::Text(text.to_owned())),
        FieldRule::Event => pass_event(contract, text(value)?),
        FieldRule::Bool { when_true, when_false } => match value {
            Value::Bool(true) => Ok(Read::Text(when_true.clone().unwrap_or_else(|| "true".to_owned()))),
            Value::Bool(false) => Ok(Read::Text(when_false.clone().unwrap_or_else(|| "false".to_owned()))),
            _ => Err(broken("type", "must be true or false")),
        },
        FieldRule::Int { min, max } => match value {
            Value::Number(spelled) => match spelled.parse::<i64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(Read::Text(number.to_string())),
                _ => Err(broken("range", format!("must be a whole number from {min} to {max}"))),
            },
            _ => Err(broken("type", "must be a number")),
        },
        FieldRule::Enum(words) => {
            let text = text(value)?;
            let ours = words.iter().find(|(_, theirs)| theirs == text).map(|(ours, _)| ours.clone());
            let known: Vec<&str> = words.iter().map(|(_, theirs)| theirs.as_str()).collect();
            ours.map(Read::Text)
                .ok_or_else(|| broken("unknown", format!("must be one of {}", known.join(", "))))
        }
        FieldRule::Map { max } => match value {
            Value::Object(members) if members.len() > *max => {
                Err(broken("max", format!("must have at most {max} members")))
            }
            Value::Object(members) if members.iter().all(|(_, value)| value.as_str().is_some()) => {
                Ok(Read::Nothing)
            }
            _ => Err(broken("type", "must be an object of strings")),
        },
        FieldRule::Const(expected) => match value.as_str() {
            Some(text) if text == expected => Ok(Read::Nothing),
            _ => Err(broken("const", format!("must be {expected}"))),
        },
    }
}

fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, Broken> {
    let text = value.as_str().ok_or_else(not_a_string)?;
    if text.contains('\0') {
        return Err(broken("characters", "must not hold a NUL character"));
    }
    Ok(text)
}

fn not_a_string() -> Broken {
    broken("type", "must be a string")
}

fn within(text: &str, min: usize, max: usize) -> Result<(), Broken> {
    let characters = text.chars().count();
    if characters < min {
        return Err(broken("min", format!("must have at least {min} characters")));
    }
    if characters > max {
        return Err(broken("max", format!("must have at most {max} characters")));
    }
    Ok(())
}

/// What a contract asks of a URL beyond what the address guard does. Whether the text is a URL at all, and one that all
/// readers read alike, is for the guard to say.
fn pass_url(text: &str, schemes: &[String], max: usize) -> Passed {
    if text.trim().is_empty() {
        return Err(broken("required", "must not be empty"));
    }
    within(text, 1, max)?;
    match scheme_of(text) {
        Some(scheme) if !schemes.contains(&scheme) => {
            Err(broken("scheme", format!("must start with {}://", schemes.join(":// or "))))
        }
        _ => Ok(Read::Text(text.to_owned())),
    }
}

/// The scheme in lower case, if the text begins with one (RFC 3986 section 3.1).
fn scheme_of(text: &str) -> Option<String> {
    let (scheme, _) = text.split_once(':')?;
    let is_sound = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_sound.then(|| scheme.to_ascii_lowercase())
}

fn pass_events(
    catalogue: &Catalogue,
    value: &Value<'_>,
    min: usize,
    max: usize,
    rejects_duplicates: bool,
) -> Passed {
    let Value::Array(entries) = value else { return Err(broken("type", "must be an array of event types")) };
    if entries.len() < min {
        return Err(broken("min", format!("must have at least {min} {}", items(min))));
    }
    if entries.len() > max {
        return Err(broken("max", format!("must have at most {max} {}", items(max))));
    }
    let mut patterns: Vec<String> = Vec::new();
    for entry in entries {
        let Some(pattern) = entry.as_str() else { return Err(broken("type", "must be an array of strings")) };
        if !catalogue.takes(pattern) {
            return Err(broken("unknown", "names an unknown event type"));
        }
        if !patterns.iter().any(|known| known == pattern) {
            patterns.push(pattern.to_owned());
        } else if rejects_duplicates {
            return Err(broken("unique", "must not name an event type twice"));
        }
    }
    Ok(Read::Events(patterns))
}

fn items(count: usize) -> &'static str {
    if count == 1 { "entry" } else { "entries" }
}

fn pass_secret(contract: &Contract, text: &str, min: usize, max: usize) -> Passed {
    within(text, min, max)?;
    if text.trim().is_empty() {
        return Err(broken("blank", "must not be only spaces"));
    }
    if signing_key(&contract.secret, contract.secret.key, text).is_none() {
        return Err(broken("form", "does not have the form of a signing secret"));
    }
    Ok(Read::Text(text.to_owned()))
}

fn pass_decimal(text: &str, positive: bool) -> Passed {
    if !is_decimal(text) {
        return Err(broken("decimal", "must be a decimal number in a string, such as \"12.50\""));
    }
    if positive && !is_positive(text) {
        return Err(broken("positive", "must be above zero"));
    }
    Ok(Read::Text(text.to_owned()))
}

/// The type of a test event; those made only by the test route are allowed here.
fn pass_event(contract: &Contract, text: &str) -> Passed {
    let is_internal = contract.events.find(text).is_some_and(|known| known.internal);
    if is_internal || contract.check_event_type(text).is_ok() {
        return Ok(Read::Text(text.to_owned()));
    }
    Err(broken("unknown", "names an unknown event type"))
}
