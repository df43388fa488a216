//! Reading request bodies.

use std::collections::BTreeMap;

use posthaste_core::{Secret, Subscription, Webhook, WebhookState};

use crate::model::{Contract, Index};

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

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// The field as the contract's callers know it, such as `endpoint_url`.
    pub field: String,
    /// The rule, as one word: `required`, `type`, `max`, …
    pub rule: &'static str,
    /// A sentence for people that begins with the field's name. It does not echo what was sent.
    pub message: String,
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
        let _ = (input, body, current);
        unimplemented!()
    }

    /// May an event of this type be published? The reason if not.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn check_event_type(&self, event_type: &str) -> Result<(), String> {
        let _ = event_type;
        unimplemented!()
    }

    /// The field of an input that sets the URL, for faults that are found later (the guard, probes).
    #[must_use]
    pub fn url_field(&self, input: Index) -> Option<&crate::model::InputField> {
        let _ = input;
        unimplemented!()
    }
}
