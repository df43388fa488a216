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
