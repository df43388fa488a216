//! Requests made from a contract's routes.

use posthaste_contract::model::{FieldRule, Input, Route, Segment, Target};
use serde_json::{Map, Value, json};

use crate::rig::{Ask, Holder, Rig};

/// The webhook and the delivery a request is about.
#[derive(Clone, Debug)]
pub struct About {
    /// What this is, for people.
    pub row: String,
    pub webhook: String,
    pub delivery: String,
}

impl About {
    pub fn new(row: &str, webhook: &str, delivery: &str) -> Self {
        Self { row: row.into(), webhook: webhook.into(), delivery: delivery.into() }
    }
}

/// The input a route reads.
fn input<'r>(rig: &'r Rig, route: &Route) -> Option<&'r Input> {
    route.input.map(|input| &rig.contract.inputs[input])
}

/// Does a request to this route name a webhook, in its path or its body?
pub fn names_webhook(rig: &Rig, route: &Route) -> bool {
    let in_body = |input: &Input| input.fields.iter().any(|field| field.to == Target::WebhookId);
    route.segments.contains(&Segment::Webhook) || input(rig, route).is_some_and(in_body)
}

/// Does it name a delivery?
pub fn names_delivery(rig: &Rig, route: &Route) -> bool {
    let in_body = |input: &Input| input.fields.iter().any(|field| field.to == Target::DeliveryId);
    route.segments.contains(&Segment::Delivery) || input(rig, route).is_some_and(in_body)
}

/// A request that would do what the route does if the ids were the caller's.
pub fn request(rig: &Rig, holder: &Holder, route: &Route, method: &str, about: &About) -> Ask {
    let mut target = String::new();
    for segment in &route.segments {
        target.push('/');
        target.push_str(match segment {
            Segment::Literal(text) => text,
            Segment::Webhook => &about.webhook,
            Segment::Delivery => &about.delivery,
        });
    }
    let mut ask = Ask::new(method, &target);
    if let Some(input) = input(rig, route) {
        ask = ask.header("Content-Type", "application/json").body(body(rig, input, about).to_string());
    }
    rig.signed_by(holder, ask)
}

fn body(rig: &Rig, input: &Input, about: &About) -> Value {
    let mut body = Map::new();
    for field in &input.fields {
        let value = match (&field.to, &field.rule) {
            (Target::WebhookId, _) => json!(about.webhook),
            (Target::DeliveryId, _) => json!(about.delivery),
            (_, FieldRule::Url { .. }) => json!("https://taken-over.example.com/"),
            (_, FieldRule::Events { .. }) => json!([rig.event_type()]),
            (_, FieldRule::Secret { .. }) => json!("a-secret-that-the-intruder-knows-32"),
            _ => continue,
        };
        body.insert(field.at.join("."), value);
    }
    Value::Object(body)
}
