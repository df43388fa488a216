//! What an operation can answer, with the headers that go with it.

use serde_json::{Map, Value, json};

use super::schema::Schemas;
use crate::error::phrase;
use crate::model::errors::ErrorRule;
use crate::model::route::{Beyond, FilterOn, Paging};
use crate::model::{Condition, Contract, Op, Route, Scheme};

/// The answers of a route: its success, and each refusal its callers can meet.
pub fn responses(contract: &Contract, route: &Route, schemas: &Schemas<'_>) -> Value {
    let mut made = Map::new();
    let mut success =
        json!({ "description": phrase(route.status), "headers": { "X-Request-Id": request_id() } });
    if let Some(view) = route.view {
        success["content"] = json!({ "application/json": { "schema": schemas.answer(view, route.op) } });
    }
    made.insert(route.status.to_string(), success);
    let mut refusals: Vec<(u16, Vec<&ErrorRule>)> = Vec::new();
    for condition in conditions(contract, route) {
        let Some(rule) = contract.error_rule(condition) else { continue };
        match refusals.iter_mut().find(|(status, _)| *status == rule.status) {
            Some((_, rules)) => rules.push(rule),
            None => refusals.push((rule.status, vec![rule])),
        }
    }
    refusals.sort_by_key(|(status, _)| *status);
    for (status, rules) in refusals {
        made.insert(status.to_string(), refusal(contract, status, &rules, schemas));
    }
    Value::Object(made)
}

fn refusal(contract: &Contract, status: u16, rules: &[&ErrorRule], schemas: &Schemas<'_>) -> Value {
    let mut codes: Vec<String> = Vec::new();
    for code in rules.iter().map(|rule| format!("`{}`", rule.code)) {
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    json!({
        "description": format!("{}: {}", phrase(status), codes.join(", ")),
        "headers": headers(status, rules),
        "content": { contract.errors.content_type.as_str(): { "schema": schemas.error() } },
    })
}

/// A header is required where every answer with this status has it.
fn headers(status: u16, rules: &[&ErrorRule]) -> Value {
    let mut made = Map::new();
    made.insert("X-Request-Id".to_owned(), request_id());
    if rules.iter().any(|rule| rule.retry_after) {
        made.insert(
            "Retry-After".to_owned(),
            json!({
                "description": "Seconds after which to try again.",
                "required": rules.iter().all(|rule| rule.retry_after),
                "schema": { "type": "integer", "minimum": 1 },
            }),
        );
    }
    if status == 401 {
        made.insert(
            "WWW-Authenticate".to_owned(),
            json!({
                "description": "Which credentials are asked for (RFC 9110).",
                "required": true,
                "schema": { "type": "string" },
            }),
        );
    }
    Value::Object(made)
}

fn request_id() -> Value {
    json!({
        "description": "The id of this request, for questions about it.",
        "required": true,
        "schema": { "type": "string" },
    })
}

/// The conditions that a route's callers can meet.
fn conditions(contract: &Contract, route: &Route) -> Vec<Condition> {
    let mut met = vec![Condition::AuthMissing, Condition::AuthInvalid, Condition::AuthInactive];
    let mut when = |applies: bool, conditions: &[Condition]| {
        if applies {
            met.extend_from_slice(conditions);
        }
    };
    let is_signed =
        contract.auth.get(route.auth).is_some_and(|auth| matches!(auth.scheme, Scheme::HmacRequest(_)));
    let changes_url = matches!(route.op, Op::WebhookCreate | Op::WebhookUpdate);
    when(is_signed, &[Condition::AuthSkew, Condition::AuthReplay]);
    when(route.needs.is_some(), &[Condition::AccessDenied]);
    when(!route.rates.is_empty(), &[Condition::RateLimited]);
    when(
        route.input.is_some(),
        &[Condition::BadBody, Condition::Invalid, Condition::TooLarge, Condition::Media, Condition::Timeout],
    );
    when(query_can_be_wrong(route), &[Condition::Invalid]);
    when(!matches!(route.op, Op::WebhookCreate | Op::WebhookList), &[Condition::NotFound]);
    when(changes_url && contract.limits.unique_url, &[Condition::DuplicateUrl]);
    when(route.op == Op::WebhookCreate && contract.limits.max_webhooks.is_some(), &[Condition::WebhookLimit]);
    when(route.op == Op::DeliveryResend, &[Condition::Conflict]);
    when(true, &[Condition::Internal, Condition::Unavailable]);
    met
}

/// Is there a query that the route refuses?
fn query_can_be_wrong(route: &Route) -> bool {
    let paging = match &route.paging {
        Paging::All | Paging::Latest { .. } => false,
        Paging::Page { size, .. } | Paging::Offset { size, .. } => size.beyond == Beyond::Error,
        Paging::Cursor { .. } | Paging::StartingAfter { .. } => true,
    };
    let is_of_words = |on: &FilterOn| matches!(on, FilterOn::WebhookState(_) | FilterOn::DeliveryState(_));
    paging || route.filters.iter().any(|filter| is_of_words(&filter.on))
}
