//! Accounts.

use serde_json::json;

use crate::rig::{NO_CONTENT, Rig};

#[tokio::test]
async fn an_account_lives_and_ends() {
    let rig = Rig::new("aira");
    let made = rig.post("/accounts", r#"{"id":"acme","name":"<b>Acme</b>"}"#).await.ok(201);
    let at = "2026-09-21T14:13:20.000Z";
    assert_eq!(made, json!({"id": "acme", "name": "<b>Acme</b>", "created_at": at, "updated_at": at}));
    assert_eq!(rig.post("/accounts", r#"{"id":"acme"}"#).await.told(), "409 taken");
    assert_eq!(rig.get("/accounts/acme").await.ok(200), made);
    let renamed = rig.call("PATCH", "/accounts/acme", r#"{"name":"B"}"#).await.ok(200);
    assert_eq!(renamed["name"], "B");
    assert_eq!(rig.call("PATCH", "/accounts/acme", "{}").await.ok(200)["name"], "B");
    assert!(rig.call("PATCH", "/accounts/acme", r#"{"name":null}"#).await.ok(200)["name"].is_null());
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    assert_eq!(rig.call("DELETE", "/accounts/acme", "").await.status, NO_CONTENT);
    for path in ["/accounts/acme", "/accounts/acme/webhooks", "/accounts/acme/webhooks/wh_1"] {
        assert_eq!(rig.get(path).await.told(), "404 not_found", "{path} {}", webhook.id);
    }
    assert_eq!(rig.call("DELETE", "/accounts/acme", "").await.told(), "404 not_found");
    assert_eq!(rig.call("PATCH", "/accounts/acme", "{}").await.told(), "404 not_found");
}

#[tokio::test]
async fn ids_and_names_keep_their_rules() {
    let rig = Rig::new("aira");
    let (long_id, long_name) = ("a".repeat(256), "n".repeat(256));
    for (body, pointer) in [
        (json!({}), "/id"),
        (json!({"id": null}), "/id"),
        (json!({"id": 1}), "/id"),
        (json!({"id": ""}), "/id"),
        (json!({"id": long_id}), "/id"),
        (json!({"id": "../x"}), "/id"),
        (json!({"id": ".."}), "/id"),
        (json!({"id": "🦀"}), "/id"),
        (json!({"id": "a b"}), "/id"),
        (json!({"id": "a", "name": 1}), "/name"),
        (json!({"id": "a", "name": long_name}), "/name"),
        (json!({"id": "a", "name": "\0"}), "/name"),
    ] {
        let answer = rig.post("/accounts", body.to_string()).await;
        assert_eq!(answer.told(), "422 invalid", "{body}");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    rig.post("/accounts", json!({"id": "a".repeat(255), "name": "é".repeat(255)}).to_string()).await.ok(201);
}

#[tokio::test]
async fn accounts_are_listed_in_parts() {
    let rig = Rig::new("aira");
    for n in 0..5 {
        rig.post("/accounts", format!(r#"{{"id":"a{n}"}}"#)).await.ok(201);
    }
    let mut seen = Vec::new();
    let mut path = "/accounts?limit=2".to_owned();
    for expected in [2, 2, 1] {
        let page = rig.get(&path).await.ok(200);
        let ids = page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        assert_eq!(page["data"].as_array().unwrap().len(), expected);
        path = format!("/accounts?limit=2&cursor={}", page["next"].as_str().unwrap_or("end"));
    }
    assert_eq!(seen, ["a0", "a1", "a2", "a3", "a4"]);
    assert!(path.ends_with("=end"), "the last part has no next");
    for query in ["limit=0", "limit=201", "limit=x", "cursor=end", "cursor=%00"] {
        assert_eq!(rig.get(&format!("/accounts?{query}")).await.told(), "422 invalid", "{query}");
    }
    assert!(rig.get("/accounts/%ff").await.told().starts_with("404"));
}
