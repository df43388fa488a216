//! The OpenAPI documents hold together.

use posthaste_contract::{Contract, builtin};
use serde_json::Value;

/// Every reference of a document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_operations_are_unique() {
    for name in builtin::names() {
        let contract = Contract::builtin(name).unwrap();
        let document = contract.openapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty(), "{name}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{name}: {reference}");
        }
        let paths = document["paths"].as_object().unwrap();
        let operations: usize = paths
            .values()
            .map(|item| item.as_object().unwrap().keys().filter(|key| *key != "parameters").count())
            .sum();
        assert_eq!(operations, contract.routes.len(), "{name}");
        assert_eq!(document["openapi"], "3.1.0");
        assert!(!document["webhooks"].as_object().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn secrets_are_in_the_schema_of_the_answer_that_shows_them_only() {
    let document = Contract::builtin("standard").unwrap().openapi();
    let schemas = &document["components"]["schemas"];
    assert!(schemas["webhook.endpoint.create"]["properties"]["secret"].is_object());
    assert!(schemas["webhook"]["properties"]["secret"].is_null());
    let aira = Contract::builtin("aira").unwrap().openapi();
    assert_eq!(aira["components"]["schemas"]["webhook"]["properties"]["secret"]["type"], "null");
}

#[test]
fn a_query_is_described_as_it_is_read() {
    let limit = |name: &str, path: &str| {
        let document = Contract::builtin(name).unwrap().openapi();
        let operation = document["paths"][path]["get"].clone();
        let parameters = operation["parameters"].as_array().unwrap().clone();
        let schema = parameters.iter().find(|one| one["name"] != "cursor" && one["name"] != "page").unwrap();
        (schema["schema"].clone(), operation["responses"].clone())
    };
    // What is refused has bounds and an answer; what is bent into shape has neither.
    let (strict, answers) = limit("standard", "/v1/webhooks/{webhook_id}/deliveries");
    assert_eq!((&strict["type"], &strict["minimum"]), (&"integer".into(), &1.into()));
    assert!(answers["422"].is_object());
    let (bent, answers) = limit("aira", "/api/v1/webhooks/{webhook_id}/deliveries");
    assert_eq!(bent["anyOf"][1]["type"], "string");
    assert!(answers["422"].is_null());
}

#[test]
fn what_depends_on_the_events_is_said_as_far_as_it_can_be() {
    let document = Contract::builtin("pipai").unwrap().openapi();
    let schemas = &document["components"]["schemas"];
    let create = schemas["webhook_create.input"]["allOf"].as_array().unwrap();
    let named = |one: &Value| one["if"]["properties"]["events"]["contains"]["enum"].clone();
    assert_eq!(named(&create[0]), serde_json::json!(["account.*", "*", "account.balance_low"]));
    assert_eq!(named(&create[1]), serde_json::json!(["account.balance_low"]));
    assert_eq!(create[1]["then"]["required"], serde_json::json!(["balance_low_threshold"]));
    let update = &schemas["webhook_update.input"];
    assert_eq!(update["allOf"], serde_json::json!([create[1]]));
    assert!(update["properties"]["balance_low_threshold"]["oneOf"].is_array());
}

#[test]
fn refusals_promise_the_headers_that_always_come() {
    for name in builtin::names() {
        let document = Contract::builtin(name).unwrap().openapi();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values().filter(|one| one.is_object()) {
                let answers = operation["responses"].as_object().unwrap();
                for (status, answer) in answers {
                    let promised = |header: &str| answer["headers"][header]["required"] == true;
                    assert!(promised("X-Request-Id"), "{name} {status}");
                    assert_eq!(promised("WWW-Authenticate"), status == "401", "{name} {status}");
                }
                assert_eq!(answers["503"]["headers"]["Retry-After"]["schema"]["minimum"], 1, "{name}");
            }
        }
    }
}
