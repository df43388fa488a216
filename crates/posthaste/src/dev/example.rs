//! Requests and data as a customer's would be, made from nothing but the contract.

use posthaste_contract::Contract;
use posthaste_contract::model::{EventType, FieldRule, Input, InputField, SecretOrigin, Target};
use serde_json::{Map, Value, json};

/// What goes into an example request.
pub(super) struct Facts<'a> {
    pub url: &'a str,
    pub event_type: &'a str,
    /// The customer's own secret, for contracts where they bring one.
    pub secret: &'a str,
    pub webhook_id: &'a str,
}

/// The type of the example event: the catalogue's first, if there is one that needs no limit to be crossed; one of our
/// own where the catalogue is open and empty.
pub(super) fn event_type(contract: &Contract) -> String {
    let published = || contract.events.types.iter().filter(|known| !known.internal);
    let first = published().find(|known| known.when.is_none()).or_else(|| published().next());
    first.map_or_else(|| "invoice.paid".to_owned(), |known| known.name.clone())
}

/// Data such as an event of the type carries.
pub(super) fn data(contract: &Contract, event_type: &str) -> Value {
    let known = contract.events.types.iter().find(|known| known.name == event_type);
    let example = known.and_then(|known| serde_json::from_str(known.example.as_deref()?).ok());
    match (example, known) {
        (Some(example), _) => example,
        (None, Some(known)) if !known.data.is_empty() => documented(known),
        _ => {
            json!({"id": "example_1", "amount": "42.00", "currency": "EUR", "note": "sent by posthaste dev"})
        }
    }
}

fn documented(known: &EventType) -> Value {
    let members = known.data.iter().map(|field| {
        let value = match field.json_type {
            "number" => json!(0.93),
            "integer" => json!(42),
            "boolean" => json!(true),
            "array" => json!([]),
            "object" => json!({}),
            _ => json!(format!("example {}", field.at.replace(['_', '.'], " "))),
        };
        (field.at.clone(), value)
    });
    Value::Object(members.collect())
}

/// A body that the input takes.
pub(super) fn body(contract: &Contract, input: &Input, facts: &Facts<'_>) -> Value {
    let mut body = Value::Object(Map::new());
    for field in &input.fields {
        if let Some(value) = value(contract, field, facts) {
            put(&mut body, &field.at, value);
        }
    }
    body
}

fn value(contract: &Contract, field: &InputField, facts: &Facts<'_>) -> Option<Value> {
    let is_owed = field.required || field.required_with.as_deref() == Some(facts.event_type);
    match &field.to {
        Target::Url => Some(json!(facts.url)),
        Target::Events => Some(json!([facts.event_type])),
        Target::WebhookId => Some(json!(facts.webhook_id)),
        Target::Secret if is_owed || contract.secret.origin == SecretOrigin::Caller => {
            Some(json!(facts.secret))
        }
        Target::EventType if is_owed => Some(json!(facts.event_type)),
        _ if is_owed => Some(by_rule(&field.rule)),
        _ => None,
    }
}

fn by_rule(rule: &FieldRule) -> Value {
    match rule {
        FieldRule::Decimal { .. } => json!("100"),
        FieldRule::Bool { .. } => json!(true),
        FieldRule::Int { min, max } => json!(1.clamp(*min, *max)),
        FieldRule::Enum(words) => json!(words.first().map(|(_, theirs)| theirs)),
        FieldRule::Map { .. } => json!({}),
        FieldRule::Const(text) => json!(text),
        FieldRule::String { min, max } | FieldRule::Secret { min, max } => {
            let text = "made by posthaste dev ";
            let length = text.len().clamp(*min, (*max).max(*min));
            json!(text.chars().cycle().take(length).collect::<String>())
        }
        _ => json!("example"),
    }
}

fn put(object: &mut Value, at: &[String], value: Value) {
    let Some((first, rest)) = at.split_first() else { return };
    if rest.is_empty() {
        object[first] = value;
    } else {
        if !object[first].is_object() {
            object[first] = Value::Object(Map::new());
        }
        put(&mut object[first], rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_put_where_they_belong() {
        let mut body = json!({});
        for (at, value) in [(vec!["a"], 1), (vec!["b", "c"], 2), (vec!["b", "d"], 3)] {
            let at: Vec<String> = at.into_iter().map(str::to_owned).collect();
            put(&mut body, &at, json!(value));
        }
        assert_eq!(body, json!({"a": 1, "b": {"c": 2, "d": 3}}));
    }
}
