//! Examples of requests and bodies.

use posthaste_contract::model::{Auth, FieldRule, InputField, Route, Scheme, Segment};
use posthaste_contract::{Contract, PayloadFacts};
use posthaste_core::UnixMs;
use serde_json::{Map, Value, json};

/// A curl line for a route, with the caller's credentials as shell variables.
pub(super) fn curl(contract: &Contract, route: &Route, server: &str) -> String {
    let mut line = format!("curl -X {} \"{server}{}\"", route.method.word(), path(route));
    if let Some(auth) = contract.auth.get(route.auth) {
        line.push_str(&credentials(auth));
    }
    if let Some(body) = body(contract, route) {
        line.push_str(" \\\n  -H \"Content-Type: application/json\" \\\n  -d '");
        // The one character that would end the shell's quotes.
        line.push_str(&body.to_string().replace('\'', "'\\''"));
        line.push('\'');
    }
    line
}

fn path(route: &Route) -> String {
    let segments = route.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => text.as_str(),
        Segment::Webhook => "$WEBHOOK_ID",
        Segment::Delivery => "$DELIVERY_ID",
    });
    segments.fold(String::new(), |path, segment| path + "/" + segment)
}

fn credentials(auth: &Auth) -> String {
    match &auth.scheme {
        Scheme::ApiKey { header } => format!(" \\\n  -H \"{header}: $API_KEY\""),
        Scheme::Bearer => " \\\n  -H \"Authorization: Bearer $API_KEY\"".to_owned(),
        Scheme::Basic => " \\\n  -u \"$API_KEY:\"".to_owned(),
        Scheme::HmacRequest(rule) => format!(
            " \\\n  -H \"{}: $API_KEY\" \\\n  -H \"{}: $TS\" \\\n  -H \"{}: $SIG\"",
            rule.key_header, rule.timestamp_header, rule.signature_header
        ),
    }
}

/// A body with everything that must be there.
fn body(contract: &Contract, route: &Route) -> Option<Value> {
    let input = contract.inputs.get(route.input?)?;
    let mut body = Map::new();
    for field in input.fields.iter().filter(|field| field.required) {
        put(&mut body, &field.at, example(contract, field));
    }
    Some(Value::Object(body))
}

fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            object.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = object.entry(first.clone()).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn example(contract: &Contract, field: &InputField) -> Value {
    let event_type = || first_type(contract);
    match &field.rule {
        FieldRule::Url { .. } => json!("https://example.com/webhook"),
        FieldRule::Events { .. } => json!([event_type()]),
        FieldRule::Event => json!(event_type()),
        FieldRule::Secret { min, .. } => json!(format!("{:x<min$}", "choose-your-own-secret")),
        FieldRule::String { min, .. } => json!(format!("{:x<min$}", "text")),
        FieldRule::Decimal { .. } => json!("100"),
        FieldRule::Id => json!("$WEBHOOK_ID"),
        FieldRule::Bool { .. } => json!(true),
        FieldRule::Int { min, .. } => json!(min),
        FieldRule::Enum(words) => json!(words.first().map(|(_, word)| word)),
        FieldRule::Map { .. } => json!({}),
        FieldRule::Const(text) => json!(text),
    }
}

fn first_type(contract: &Contract) -> &str {
    let known = contract.events.types.iter().find(|known| !known.internal);
    known.map_or("invoice.paid", |known| known.name.as_str())
}

/// The body of a delivery.
pub(super) fn example_body(contract: &Contract) -> String {
    let event_type = first_type(contract);
    let known = contract.events.types.iter().find(|known| known.name == event_type);
    let data = known.and_then(|known| known.example.as_deref()).unwrap_or("{}");
    let event_id = format!("{}…", contract.ids.event.prefix);
    let body = contract.build_body(&PayloadFacts {
        event_id: &event_id,
        event_type,
        account_id: Some("acme"),
        occurred_at: UnixMs(1_776_506_400_000),
        data,
    });
    let bytes = body.for_account("\"acme\"");
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => format!("{value:#}"),
        Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}
