//! Publishing many events in one body.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::rig::{Rig, TOKEN, request};

const GOOD: &str = r#"{"type":"strategy.error","data":{"n":1.0},"account":"acme"}"#;

fn codes(answer: &serde_json::Value) -> Vec<String> {
    let told = |one: &serde_json::Value| match one["error"]["code"].as_str() {
        Some(code) => code.to_owned(),
        None if one["duplicate"] == json!(true) => "duplicate".to_owned(),
        None => one["type"].as_str().unwrap().to_owned(),
    };
    answer["events"].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test]
async fn one_bad_item_does_not_reject_the_rest() {
    let rig = Rig::with_account("pipai").await;
    let items = [
        GOOD,
        r#"{"type":"strategy.error","data":{"a":1,"a":2},"account":"acme"}"#,
        r#"{"type":"strategy.error","data":{},"account":"nobody"}"#,
        r#"{"type":"strategy.error","data":{},"account":"acme","id":"x"}"#,
        r#"{"type":"strategy.error","data":{},"account":"acme","id":"x"}"#,
        r#"{"type":"strategy.error","data":{"b":1},"account":"acme","id":"x"}"#,
        r#"{"type":"*","data":{},"account":"acme"}"#,
        r#"{"type":"strategy.error","data":{}}"#,
        "7",
        r#"{"type":"strategy.deployed","data":{},"broadcast":true}"#,
    ];
    let expected = [
        "strategy.error",
        "bad_body",
        "not_found",
        "strategy.error",
        "duplicate",
        "idempotency_conflict",
        "invalid",
        "bad_audience",
        "bad_body",
        "strategy.deployed",
    ];
    let answer = rig.post("/events/batch", format!("[{}]", items.join(","))).await.ok(202);
    assert_eq!(codes(&answer), expected);
    assert_eq!(answer["events"][3]["id"], answer["events"][4]["id"]);
    assert_eq!(answer["events"][6]["error"]["errors"][0]["pointer"], "/type");
    assert_eq!(answer["events"][6]["error"]["status"], 422);
    let lines = Request::post("/admin/v1/events/batch")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/x-ndjson");
    let body = format!("{GOOD}\n\n{{broken\r\n{GOOD}");
    let answer = rig.send(lines.body(Body::from(body)).unwrap()).await.ok(202);
    assert_eq!(codes(&answer), ["strategy.error", "bad_body", "strategy.error"]);
}

#[tokio::test]
async fn a_thousand_are_taken_in_order_and_no_more() {
    let rig = Rig::with_account("pipai").await;
    let many = |count: usize| format!("[{}]", vec![GOOD; count].join(","));
    let answer = rig.post("/events/batch", many(1_000)).await.ok(202);
    assert_eq!(answer["events"].as_array().unwrap().len(), 1_000);
    assert_eq!(rig.post("/events/batch", many(1_001)).await.told(), "413 too_large");
    let big =
        format!(r#"{{"type":"strategy.error","data":{{"t":"{}"}},"account":"acme"}}"#, "x".repeat(1 << 18));
    let answer = rig.post("/events/batch", format!("[{big},{GOOD}]")).await.ok(202);
    assert_eq!(codes(&answer), ["too_large", "strategy.error"]);
}

#[tokio::test]
async fn a_batch_as_a_whole_keeps_its_rules() {
    let rig = Rig::with_account("pipai").await;
    for body in ["", "[]", "[", "[{}", "[{}]x"] {
        assert_eq!(rig.post("/events/batch", body).await.told(), "400 bad_body", "{body}");
    }
    let named = request("POST", "/events/batch").header("idempotency-key", "k");
    let answer = rig.send(named.body(Body::from(format!("[{GOOD}]"))).unwrap()).await;
    assert_eq!(answer.told(), "422 invalid");
}
