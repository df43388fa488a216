//! Reading request bodies.

mod decimal;
mod events;
mod field;

use std::collections::BTreeMap;

use posthaste_core::{Secret, Subscription, Webhook, WebhookState};

pub use crate::fault::FieldFault;
use crate::json::{self, Value};
use crate::model::input::{Input, InputField, Target, Unknown};
use crate::model::{Contract, Index};
pub(crate) use decimal::CHARS_MAX as DECIMAL_MAX_CHARS;
use field::Reading;

/// What a body asked for. `None` is what it did not mention.
#[derive(Default)]
pub struct Values {
    /// The URL as given; the guard has yet to judge it.
    pub url: Option<String>,
    /// The event types. Not mentioned on creation means [`Subscription::All`]: contracts where it must be named
    /// have said so already.
    pub events: Option<Subscription>,
    /// The label; `Some(None)` removes it.
    pub description: Option<Option<String>>,
    /// The customer's own signing secret.
    pub secret: Option<Secret>,
    /// Whether it is to be delivered to.
    pub state: Option<WebhookState>,
    /// Fields only this contract has; `None` removes one.
    pub extension: BTreeMap<String, Option<String>>,
    /// The webhook the request is about, where the body says so.
    pub webhook_id: Option<String>,
    /// The delivery the request is about, where the body says so.
    pub delivery_id: Option<String>,
    /// The type of a test event.
    pub event_type: Option<String>,
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyFault {
    /// It is no JSON object, or not a sound one: the condition `bad_body`.
    Malformed(String),
    /// Fields break rules: the condition `invalid`. In the contract's order, never empty.
    Fields(Vec<FieldFault>),
}

impl Contract {
    /// Reads a request body. `input` is the index a route holds; `current` is the webhook that is being changed.
    ///
    /// # Errors
    /// See [`BodyFault`].
    pub fn read_input(
        &self,
        input: Index,
        body: &[u8],
        current: Option<&Webhook>,
    ) -> Result<Values, BodyFault> {
        let Some(input) = self.inputs.get(input) else { return Ok(Values::default()) };
        let whole = if body.is_empty() && input.body_optional {
            Value::Object(Vec::new())
        } else {
            json::parse(body)
                .map_err(|fault| BodyFault::Malformed(format!("The body is not sound JSON: {fault}.")))?
        };
        let Value::Object(members) = &whole else {
            return Err(BodyFault::Malformed(format!(
                "The body must be a JSON object, not {}.",
                whole.kind()
            )));
        };
        let mut reading = Reading::new(self, input, current);
        for field in &input.fields {
            reading.field(field, found(&whole, field));
        }
        if input.unknown == Unknown::Reject {
            let known =
                |key: &str| input.fields.iter().any(|field| field.at.first().is_some_and(|at| at == key));
            for _ in members.iter().filter(|(key, _)| !known(key)) {
                reading.fault_unknown();
            }
        }
        reading.finish()
    }

    /// The field of an input that sets the URL, for faults that are found later (the guard, probes).
    #[must_use]
    pub fn url_field(&self, input: Index) -> Option<&InputField> {
        self.inputs.get(input)?.fields.iter().find(|field| field.to == Target::Url)
    }
}

impl Input {
    /// The name by which callers know the field that sets something, such as `endpoint_url`.
    #[must_use]
    pub fn name_of(&self, target: &Target) -> Option<String> {
        self.fields.iter().find(|field| field.to == *target).map(InputField::name)
    }
}

impl InputField {
    /// The name by which callers know the field.
    #[must_use]
    pub fn name(&self) -> String {
        self.at.join(".")
    }

    /// A fault of this field. `says` continues the field's name in a sentence.
    #[must_use]
    pub fn fault(&self, rule: &'static str, says: &str) -> FieldFault {
        let field = self.name();
        FieldFault { rule, message: format!("{field} {says}"), field }
    }
}

/// The value at a field's path; what is not there, or inside something that is no object, is absent.
fn found<'a>(whole: &'a Value<'a>, field: &InputField) -> Option<&'a Value<'a>> {
    field.at.iter().try_fold(whole, |value, name| value.get(name))
}
