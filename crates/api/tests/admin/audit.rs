//! The audit log, as it is asked for.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use posthaste_core::{Clock, Seq};
use posthaste_store::RecordBatch;
use serde_json::{Value, json};

use crate::rig::{Ended, NO_CONTENT, Rig};

async fn log(rig: &Rig, query: &str) -> Vec<Value> {
    rig.get(&format!("/audit?{query}")).await.ok(200)["data"].as_array().unwrap().clone()
}

/// The rows as `action object`, oldest first.
fn told(rows: &[Value]) -> Vec<String> {
    let told = |row: &Value| {
        format!("{} {}", row["action"].as_str().unwrap(), row["object"]["id"].as_str().unwrap())
    };
    rows.iter().rev().map(told).collect()
}

#[tokio::test]
async fn each_change_is_told_with_who_asked_for_it() {
    let rig = Rig::with_account("standard").await;
    let token = rig.post("/tokens", r#"{"name":"deploy","scope":"full"}"#).await.ok(201);
    let text = token["token"].as_str().unwrap();
    let request = Request::patch("/admin/v1/accounts/acme").header("authorization", format!("Bearer {text}"));
    let answer = rig.send(request.body(Body::from(r#"{"name":"Acme"}"#)).unwrap()).await;
    let rows = log(&rig, "account=acme&limit=1").await;
    let seq = rows[0]["seq"].as_i64().unwrap();
    assert_eq!(
        rows[0],
        json!({
            "seq": seq,
            "at": rig.clock.now().rfc3339_ms(),
            "actor": {"kind": "token", "id": token["id"], "name": "deploy"},
            "action": "account.updated",
            "account": "acme",
            "object": {"kind": "account", "id": "acme"},
            "details": {"fields": ["name"]},
            "address": "127.0.0.1",
            "request_id": answer.headers["x-request-id"].to_str().unwrap(),
        })
    );
    let first = &log(&rig, "actor=operator").await;
    assert_eq!(
        told(first),
        ["account.created acme", &format!("token.created {}", token["id"].as_str().unwrap())]
    );
    assert_eq!(first[0]["details"], json!({"name": "deploy", "scope": "full"}));
    assert_eq!(first[0]["actor"], json!({"kind": "operator", "id": null, "name": null}));
}

#[tokio::test]
async fn every_change_by_this_api_is_told_and_no_secret_with_it() {
    let rig = Rig::with_account("standard").await;
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    let mut secrets = vec![webhook.secrets.current.expose_text().to_owned()];
    let key = rig.post("/accounts/acme/keys", r#"{"description":"CANARY-description"}"#).await.ok(201);
    let token = rig.post("/tokens", r#"{"name":"ci","scope":"read"}"#).await.ok(201);
    secrets.extend([&key["key"], &token["token"]].map(|text| text.as_str().unwrap().to_owned()));
    rig.publish(r#"{"type":"invoice.paid","account":"acme","data":{"x":"CANARY-data"}}"#).await;
    let event = rig.last_event().await;
    rig.attempted(event, webhook.no, 1, Ended::GivenUp).await;
    rig.record(RecordBatch { checkpoint: Some(event), ..RecordBatch::default() }).await;
    let hook = "/accounts/acme/webhooks/wh_1";
    for action in ["pause", "resume"] {
        rig.post(&format!("{hook}/{action}"), "").await.ok(200);
    }
    let rotated = rig.post(&format!("{hook}/rotate-secret"), "").await.ok(200);
    secrets.push(rotated["secret"].as_str().unwrap().to_owned());
    rig.clock.advance(Duration::from_secs(1));
    let since = json!({"since": "2020-01-01T00:00:00Z"}).to_string();
    rig.post(&format!("{hook}/recover"), since.clone()).await.ok(202);
    rig.attempted(event, webhook.no, 2, Ended::GivenUp).await;
    let delivery =
        rig.get(&format!("{hook}/deliveries")).await.json()["data"][0]["id"].as_str().unwrap().to_owned();
    rig.post(&format!("/deliveries/{delivery}/retry"), "").await.ok(202);
    let seals = rig.post("/secrets/rotate", "").await.ok(202);
    let sealed_by = seals["key"]["id"].as_str().unwrap();
    for path in [
        format!("/tokens/{}", token["id"].as_str().unwrap()),
        format!("/accounts/acme/keys/{}", key["id"].as_str().unwrap()),
        "/accounts/acme".to_owned(),
    ] {
        assert_eq!(rig.call("DELETE", &path, "").await.status, NO_CONTENT);
    }
    let (key, token) = (key["id"].as_str().unwrap(), token["id"].as_str().unwrap());
    let answer = rig.get("/audit?limit=200&actor=operator").await;
    let rows = answer.json()["data"].as_array().unwrap().clone();
    let expected = [
        "account.created acme".to_owned(),
        format!("key.created {key}"),
        format!("token.created {token}"),
        "webhook.paused wh_1".to_owned(),
        "webhook.resumed wh_1".to_owned(),
        "webhook.secret_rotated wh_1".to_owned(),
        "webhook.recovered wh_1".to_owned(),
        format!("delivery.retried {delivery}"),
        format!("secrets.rotated {sealed_by}"),
        format!("token.revoked {token}"),
        format!("key.revoked {key}"),
        "account.deleted acme".to_owned(),
    ];
    assert_eq!(told(&rows), expected);
    let all = rig.get("/audit?limit=200").await.text;
    secrets.extend(["CANARY".to_owned(), "https://".to_owned()]);
    for secret in &secrets {
        assert!(!all.contains(secret.as_str()), "{secret}");
    }
    println!("counted | admin | secrets looked for in the audit log | {}", secrets.len());
    println!("counted | admin | changes by the admin API held against the audit log | {}", rows.len());
}

#[tokio::test]
async fn publishing_and_reading_leave_no_row() {
    let rig = Rig::with_account("standard").await;
    rig.publish(r#"{"type":"invoice.paid","account":"acme","data":{}}"#).await;
    for path in ["/accounts", "/accounts/acme/webhooks", "/tokens", "/audit"] {
        rig.get(path).await.ok(200);
    }
    for refused in [r#"{"id":"acme"}"#, "{", r#"{"id":"a b"}"#] {
        assert!(rig.post("/accounts", refused).await.status >= 400);
    }
    // What changes nothing is no change.
    for body in ["{}", r#"{"name":null}"#] {
        rig.call("PATCH", "/accounts/acme", body).await.ok(200);
    }
    assert_eq!(told(&log(&rig, "").await), ["account.created acme"]);
    assert!(rig.last_event().await > Seq(0));
}

#[tokio::test]
async fn the_log_is_asked_for_in_parts_and_by_what_matters() {
    let rig = Rig::with_account("standard").await;
    for number in 0..5 {
        rig.call("PATCH", "/accounts/acme", format!(r#"{{"name":"n{number}"}}"#)).await.ok(200);
    }
    let first = rig.get("/audit?limit=4").await.ok(200);
    let rest = rig.get(&format!("/audit?limit=4&cursor={}", first["next"].as_str().unwrap())).await.ok(200);
    assert_eq!((first["data"].as_array().unwrap().len(), rest["data"].as_array().unwrap().len()), (4, 2));
    assert!(rest["next"].is_null());
    let rows = [
        ("account=acme", 6),
        ("account=none", 0),
        ("actor=operator", 6),
        ("actor=system", 0),
        ("actor=tok_none", 0),
        ("action=account.updated", 5),
        ("action=account.updated&account=acme&actor=operator", 5),
        ("since=2026-09-21T00:00:00Z", 6),
        ("since=2026-09-23T00:00:00Z", 0),
        ("until=2026-09-21T00:00:00%2B02:00", 0),
    ];
    for (query, expected) in rows {
        assert_eq!(log(&rig, query).await.len(), expected, "{query}");
    }
    let refused = [
        ("action=nothing", "action"),
        ("action=", "action"),
        ("account=", "account"),
        ("actor=", "actor"),
        ("since=yesterday", "since"),
        ("until=2026-09-21", "until"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ];
    for (query, pointer) in refused {
        let answer = rig.get(&format!("/audit?{query}")).await;
        assert_eq!(
            (answer.told().as_str(), answer.pointers()),
            ("422 invalid", vec![pointer.to_owned()]),
            "{query}"
        );
    }
    println!("counted | admin | questions to the audit log | {}", rows.len() + refused.len());
}
