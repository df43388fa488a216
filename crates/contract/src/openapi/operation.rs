//! Operations: parameters, bodies and answers.

use serde_json::{Value, json};

use super::answers::responses;
use super::schema::Schemas;
use crate::model::delivery::{HeaderValue, Many};
use crate::model::route::{Beyond, Filter, FilterOn, PageSize, Paging};
use crate::model::{AccessKind, Contract, Op, Route, Scheme, Segment};

/// A route's path with named parameters, and those parameters.
pub fn path(contract: &Contract, route: &Route) -> (String, Vec<Value>) {
    let mut parameters = Vec::new();
    let mut parameter = |name: &str, about: &str, kind: &posthaste_core::IdKind| {
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": about,
            "schema": { "type": "string", "examples": [super::example::id(kind)] },
        }));
        format!("{{{name}}}")
    };
    let parts: Vec<String> = route
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => text.clone(),
            Segment::Webhook => parameter("webhook_id", "The webhook's id.", &contract.ids.webhook),
            Segment::Delivery => parameter("delivery_id", "The delivery's id.", &contract.ids.delivery),
        })
        .collect();
    (format!("/{}", parts.join("/")), parameters)
}

pub fn operation(contract: &Contract, route: &Route, schemas: &Schemas<'_>) -> Value {
    let mut made = json!({
        "operationId": route.name,
        "summary": summary(route.op),
        "tags": ["Webhooks"],
        "security": security(contract, route),
        "responses": responses(contract, route, schemas),
    });
    let described = description(contract, route);
    if !described.is_empty() {
        made["description"] = json!(described);
    }
    let parameters = query_parameters(route);
    if !parameters.is_empty() {
        made["parameters"] = Value::Array(parameters);
    }
    if let Some(input) = route.input.and_then(|index| contract.inputs.get(index)) {
        made["requestBody"] = json!({
            "required": !input.body_optional,
            "content": { "application/json": { "schema": schemas.input(input) } },
        });
    }
    made
}

fn summary(op: Op) -> &'static str {
    match op {
        Op::WebhookCreate => "Create a webhook",
        Op::WebhookList => "List webhooks",
        Op::WebhookGet => "Get a webhook",
        Op::WebhookUpdate => "Update a webhook",
        Op::WebhookDelete => "Delete a webhook",
        Op::WebhookRotate => "Rotate a webhook's secret",
        Op::WebhookTest => "Test a webhook",
        Op::WebhookPause => "Pause a webhook",
        Op::WebhookResume => "Resume a webhook",
        Op::DeliveryList => "List deliveries",
        Op::DeliveryGet => "Get a delivery",
        Op::DeliveryResend => "Resend a delivery",
    }
}

fn description(contract: &Contract, route: &Route) -> String {
    let mut sentences = Vec::new();
    if !route.doc.is_empty() {
        sentences.push(route.doc.clone());
    }
    let (kind, words) = match &contract.access.kind {
        AccessKind::None => ("", &[][..]),
        AccessKind::Tier(words) => ("tier", &words[..]),
        AccessKind::Role(words) => ("role", &words[..]),
        AccessKind::Scope(words) => ("scope", &words[..]),
    };
    if let Some(word) = route.needs.and_then(|need| words.get(need.0)) {
        sentences.push(format!("Needs the {kind} `{word}`."));
    }
    if route.weight != 1 {
        sentences.push(format!("Weight: {}.", route.weight));
    }
    sentences.join(" ")
}

fn security(contract: &Contract, route: &Route) -> Value {
    let Some(auth) = contract.auth.get(route.auth) else { return json!([]) };
    let mut all = serde_json::Map::new();
    all.insert(auth.name.clone(), json!([]));
    if matches!(auth.scheme, Scheme::HmacRequest(_)) {
        all.insert(format!("{}_timestamp", auth.name), json!([]));
        all.insert(format!("{}_signature", auth.name), json!([]));
    }
    json!([all])
}

fn query_parameters(route: &Route) -> Vec<Value> {
    let text = |name: &str, about: &str| json!({ "name": name, "in": "query", "required": false, "description": about, "schema": { "type": "string" } });
    let number = |name: &str, about: &str, least: u32, size: &PageSize| {
        let schema = whole_number(json!({ "minimum": least }), size.beyond);
        json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema })
    };
    let (mut made, size) = match &route.paging {
        Paging::All | Paging::Latest { .. } => (Vec::new(), None),
        Paging::Page { number: name, size } => (vec![number(name, "Which page.", 1, size)], Some(size)),
        Paging::Offset { offset, size } => {
            (vec![number(offset, "How many items to skip.", 0, size)], Some(size))
        }
        Paging::Cursor { cursor, size } => {
            (vec![text(cursor, "Where the page begins: as the page before said.")], Some(size))
        }
        Paging::StartingAfter { after, size } => {
            (vec![text(after, "The id of the last item seen.")], Some(size))
        }
    };
    made.extend(size.map(size_parameter));
    made.extend(route.filters.iter().map(filter_parameter));
    made
}

fn size_parameter(size: &PageSize) -> Value {
    let mut schema = whole_number(json!({ "minimum": size.min, "maximum": size.max }), size.beyond);
    schema["default"] = json!(size.default);
    json!({ "name": size.param, "in": "query", "required": false, "description": "Items on a page.", "schema": schema })
}

/// A whole number in a query. Where others are not refused but bent, anything is allowed.
fn whole_number(mut bounds: Value, beyond: Beyond) -> Value {
    bounds["type"] = json!("integer");
    match beyond {
        Beyond::Error => bounds,
        Beyond::Clamp => {
            let about = "Numbers outside count as the nearest one inside, other texts as the default.";
            json!({ "anyOf": [bounds, { "type": "string", "description": about }] })
        }
    }
}

fn filter_parameter(filter: &Filter) -> Value {
    let words = |map: &[(String, String)]| {
        let theirs: Vec<&str> = map.iter().map(|(_, theirs)| theirs.as_str()).collect();
        json!({ "type": "string", "enum": theirs })
    };
    let (about, schema) = match &filter.on {
        FilterOn::WebhookState(map) => ("Only webhooks with this status.", words(map)),
        FilterOn::DeliveryState(map) => ("Only deliveries with this status.", words(map)),
        FilterOn::WebhookCovers => {
            ("Only webhooks that get events of this type.", json!({ "type": "string" }))
        }
        FilterOn::WebhookNames => ("Only webhooks that name this type.", json!({ "type": "string" })),
        FilterOn::EventType => ("Only deliveries of events of this type.", json!({ "type": "string" })),
    };
    json!({ "name": filter.param, "in": "query", "required": false, "description": about, "schema": schema })
}

/// The headers of deliveries, as parameters of the receiver's operation.
pub fn delivery_headers(contract: &Contract) -> Vec<Value> {
    let header = |name: &str, required: bool, about: String| json!({ "name": name, "in": "header", "required": required, "description": about, "schema": { "type": "string" } });
    let mut made = Vec::new();
    for known in &contract.delivery.headers {
        let about = match &known.value {
            HeaderValue::Const(text) => format!("Always `{text}`."),
            HeaderValue::From(source, _) => format!("`{}`.", source.word()),
        };
        made.push(header(&known.name, true, about));
    }
    for rule in &contract.signatures {
        let about = format!("The signature: {} in {}.", rule.algorithm.word(), rule.encoding.word());
        made.push(header(&rule.header, true, about));
        if let Many::Header(previous) = &rule.many {
            made.push(header(
                previous,
                false,
                "The signature by the former secret, for a while after a change.".to_owned(),
            ));
        }
    }
    made
}
