//! The fields of request bodies: what the reader of bodies checks, as far as JSON Schema can say it.

use serde_json::{Value, json};

use crate::input::DECIMAL_MAX_CHARS;
use crate::model::{Catalogue, Contract, EventType, FieldRule, Input, InputField, SecretKey, Target};

/// No text may hold a NUL.
const WITHOUT_NUL: &str = "^[^\\x00]*$";
/// Neither a NUL nor spaces alone.
const NOT_BLANK: &str = "^[^\\x00]*[^\\x00\\s][^\\x00]*$";
/// A decimal number, and one above zero.
const DECIMAL: &str = "^[0-9]+(\\.[0-9]+)?$";
const ABOVE_ZERO: &str = "^(0*[1-9][0-9]*(\\.[0-9]+)?|0+\\.0*[1-9][0-9]*)$";
/// Dotted words of lower-case letters, digits and `_`.
const DOTTED: &str = "[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)*";

/// What an entry of a subscription can be.
pub fn event_pattern(events: &Catalogue) -> Value {
    let fixed = events.wildcards.iter().map(String::as_str).filter(|known| *known != Catalogue::ANY_GROUP);
    let names: Vec<&str> = events.published_names().into_iter().chain(fixed).collect();
    if !events.open {
        return json!({ "type": "string", "enum": names });
    }
    let mut ways = vec![dotted("", EventType::NAME_MAX_BYTES)];
    if events.wildcards.iter().any(|known| known == Catalogue::ANY_GROUP) {
        ways.push(dotted("\\.\\*", EventType::NAME_MAX_BYTES + ".*".len()));
    }
    if !names.is_empty() {
        ways.push(json!({ "enum": names }));
    }
    json!({ "type": "string", "anyOf": ways, "examples": ["invoice.paid", "invoice.*", "*"] })
}

/// The type of a test event.
fn event_type(events: &Catalogue) -> Value {
    let names: Vec<&str> = events.types.iter().map(|known| known.name.as_str()).collect();
    match (events.open, names.is_empty()) {
        (false, _) => json!({ "type": "string", "enum": names }),
        (true, true) => dotted("", EventType::NAME_MAX_BYTES),
        (true, false) => {
            json!({ "type": "string", "anyOf": [dotted("", EventType::NAME_MAX_BYTES), { "enum": names }] })
        }
    }
}

fn dotted(ending: &str, max_length: usize) -> Value {
    json!({ "type": "string", "pattern": format!("^{DOTTED}{ending}$"), "maxLength": max_length })
}

/// The schema of a field.
pub fn field(contract: &Contract, field: &InputField) -> Value {
    let mut schema = rule(contract, &field.rule);
    if field.nullable {
        schema = json!({ "oneOf": [schema, { "type": "null" }] });
    }
    if let Some(default) = &field.default {
        schema["default"] = serde_json::from_str(default).unwrap_or(Value::Null);
    }
    if !field.doc.is_empty() {
        schema["description"] = json!(field.doc);
    }
    schema
}

/// What holds for a field only if the body asks for a certain event type: that it has to be there, and of a new webhook,
/// where the field is looked at only then, its rule. An update that says nothing of events is judged by what the webhook
/// gets already, and by the field's former value; a document cannot know either, so it asks for more.
pub fn conditions(contract: &Contract, input: &Input, bound: &InputField) -> Vec<Value> {
    let Some(events) = input.fields.iter().find(|field| field.to == Target::Events) else {
        return Vec::new();
    };
    let ([named], [name]) = (events.at.as_slice(), bound.at.as_slice()) else { return Vec::new() };
    let holds_if = |patterns: &[&str], then: Value| {
        let asked = json!({ named: { "contains": { "enum": patterns } } });
        json!({ "if": { "properties": asked, "required": [named] }, "then": then })
    };
    let mut made = Vec::new();
    if let Some(event) = bound.only_with.as_ref().filter(|_| events.required) {
        let names = contract.events.wildcards.iter().chain(std::iter::once(event));
        let covering: Vec<&str> = names
            .map(String::as_str)
            .filter(|pattern| Catalogue::any_covers(&[(*pattern).to_owned()], event))
            .collect();
        made.push(holds_if(&covering, json!({ "properties": { name: field(contract, bound) } })));
    }
    if let Some(event) = &bound.required_with {
        // Null, where it is allowed at all, is as good as nothing.
        let value = json!({ name: rule(contract, &bound.rule) });
        made.push(holds_if(&[event], json!({ "properties": value, "required": [name] })));
    }
    made
}

fn rule(contract: &Contract, rule: &FieldRule) -> Value {
    match rule {
        FieldRule::Url { max, .. } => json!({ "type": "string", "format": "uri", "maxLength": max }),
        FieldRule::Events { min, max, rejects_duplicates } => json!({
            "type": "array", "items": event_pattern(&contract.events), "minItems": min, "maxItems": max,
            "uniqueItems": rejects_duplicates,
        }),
        FieldRule::String { min, max } => {
            json!({ "type": "string", "minLength": min, "maxLength": max, "pattern": WITHOUT_NUL })
        }
        FieldRule::Secret { min, max } => secret(contract, *min, *max),
        FieldRule::Decimal { positive } => {
            let pattern = if *positive { ABOVE_ZERO } else { DECIMAL };
            json!({ "type": "string", "pattern": pattern, "maxLength": DECIMAL_MAX_CHARS })
        }
        FieldRule::Id => json!({ "type": "string", "pattern": WITHOUT_NUL }),
        FieldRule::Event => event_type(&contract.events),
        FieldRule::Bool { .. } => json!({ "type": "boolean" }),
        FieldRule::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        FieldRule::Enum(map) => {
            let words: Vec<&str> = map.iter().map(|(_, theirs)| theirs.as_str()).collect();
            json!({ "type": "string", "enum": words })
        }
        FieldRule::Map { max } => {
            json!({ "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": max })
        }
        FieldRule::Const(text) => json!({ "const": text }),
    }
}

/// A signing secret. Where its text spells bytes, its form is more than a pattern can say.
fn secret(contract: &Contract, min: usize, max: usize) -> Value {
    let mut schema = json!({ "type": "string", "format": "password", "minLength": min, "maxLength": max });
    if contract.secret.key == SecretKey::Utf8 {
        schema["pattern"] = json!(NOT_BLANK);
    }
    schema
}
