//! API keys.

use posthaste_core::Secret;
use posthaste_store::Store;
use serde_json::json;

use crate::rig::{NO_CONTENT, Rig};

#[tokio::test]
async fn a_key_is_shown_once_and_revoked_at_once() {
    let rig = Rig::with_account("pipai").await;
    let body = r#"{"scopes":["webhooks:read"],"description":"ci","expires_at":"2027-01-01T00:00:00+01:00"}"#;
    let made = rig.post("/accounts/acme/keys", body).await.ok(201);
    let (id, text) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(id.starts_with("key_") && !made["signing_secret"].as_str().unwrap().is_empty(), "{made}");
    assert_eq!(made["expires_at"], "2026-12-31T23:00:00.000Z");
    let found = rig.store.find_key(&Secret::from(text.to_owned())).await.unwrap().unwrap();
    assert_eq!(
        (found.scopes.clone(), found.description.clone()),
        (vec!["webhooks:read".into()], Some("ci".into()))
    );
    let listed = rig.get("/accounts/acme/keys").await;
    assert!(!listed.text.contains(text) && !listed.text.contains("signing_secret"), "{}", listed.text);
    assert_eq!(listed.ok(200)["data"][0]["id"], made["id"]);
    let path = format!("/accounts/acme/keys/{id}");
    assert_eq!(rig.call("DELETE", &path, "").await.status, NO_CONTENT);
    let revoked = rig.store.find_key(&Secret::from(text.to_owned())).await.unwrap();
    assert!(revoked.is_none_or(|key| key.revoked_at.is_some()));
    assert!(rig.get("/accounts/acme/keys").await.ok(200)["data"][0]["revoked_at"].is_string());
}

#[tokio::test]
async fn keys_carry_only_rights_the_contract_knows() {
    for (contract, body, pointer) in [
        ("pipai", json!({"scopes": ["webhooks:fly"]}), "/scopes"),
        ("pipai", json!({"scopes": "webhooks:read"}), "/scopes"),
        ("pipai", json!({"scopes": [1]}), "/scopes"),
        ("pipai", json!({"tier": "pro"}), "/tier"),
        ("aioka", json!({"tier": "none-of-ours"}), "/tier"),
        ("elydora", json!({"roles": ["king"]}), "/roles"),
        ("aira", json!({"tier": 1}), "/tier"),
        ("aira", json!({"description": "x".repeat(256)}), "/description"),
        ("aira", json!({"expires_at": "soon"}), "/expires_at"),
        ("aira", json!({"expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
    ] {
        let rig = Rig::with_account(contract).await;
        let answer = rig.post("/accounts/acme/keys", body.to_string()).await;
        assert_eq!(answer.told(), "422 invalid", "{body}");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
}

#[tokio::test]
async fn keys_of_nobody_are_not_found() {
    let rig = Rig::with_account("aira").await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    let id = rig.post("/accounts/other/keys", "").await.ok(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.post("/accounts/nobody/keys", "{}").await.told(), "404 not_found");
    assert_eq!(rig.get("/accounts/nobody/keys").await.told(), "404 not_found");
    for path in [format!("/accounts/acme/keys/{id}"), "/accounts/acme/keys/key_x".to_owned()] {
        assert_eq!(rig.call("DELETE", &path, "").await.told(), "404 not_found");
    }
}
