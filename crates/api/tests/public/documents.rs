//! The vendors' documented requests, word for word but for host and key, and what they say comes back.

use posthaste_contract::Op;
use posthaste_core::DeliveryState;
use serde_json::{Value, json};

use crate::registration::id_of;
use crate::rig::{Ask, Rig};

/// The members of an object in order.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn aioka_registers_and_logs() {
    let rig = Rig::start("aioka").await;
    let ask = Ask::new("POST", "/v1/webhooks")
        .header("X-API-Key", &rig.holder.text)
        .header("Content-Type", "application/json")
        .body(r#"{"url": "https://your-server.com/aioka-hook", "events": ["verdict.new", "ghost.signal"]}"#);
    let reply = rig.assert_taken("curl", &ask).await;
    let created = reply.json();
    let (id, secret) = (created["id"].clone(), created["secret"].clone());
    assert_eq!(reply.status, 201);
    assert_eq!(
        reply.body,
        json!({
            "id": id,
            "url": "https://your-server.com/aioka-hook",
            "events": ["verdict.new", "ghost.signal"],
            "is_active": true,
            "created_at": "2026-04-18T10:00:00Z",
            "last_triggered_at": null,
            "failures_since_success": 0,
            "secret": secret,
        })
        .to_string()
    );
    assert_eq!(secret.as_str().map(str::len), Some(64));

    let webhook = rig.webhook(&rig.holder, id.as_str().unwrap()).await;
    let key = rig.publish(&webhook, "verdict.new", "{}").await;
    rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
    let list = Ask::new("GET", &format!("/v1/webhooks/{}/deliveries", webhook.id))
        .header("X-API-Key", &rig.holder.text);
    let log = rig.assert_taken("log", &list).await.json();
    assert_eq!(names(&log), ["webhook_id", "deliveries", "count"]);
    let row = &log["deliveries"][0];
    assert_eq!(
        names(row),
        ["delivered_at", "event_type", "status_code", "success", "attempt", "response_ms"]
    );
    assert_eq!((&row["status_code"], &row["response_ms"]), (&json!(200), &json!(143)));
}

#[tokio::test]
async fn aira_registers_lists_and_deletes() {
    let rig = Rig::start("aira").await;
    let bearer = format!("Bearer {}", rig.holder.text);
    let ask = Ask::new("POST", "/api/v1/webhooks")
        .header("Authorization", &bearer)
        .header("Content-Type", "application/json")
        .body("{\n    \"url\": \"https://app.acme.com/webhooks/aira\",\n    \"events\": [\"case.complete\", \"case.requires_human_review\"]\n  }");
    let reply = rig.assert_taken("curl", &ask).await;
    let created = reply.json();
    assert_eq!(reply.status, 201);
    assert_eq!(names(&created), ["id", "url", "secret", "events", "status", "created_at", "request_id"]);
    assert!(created["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(created["request_id"].as_str(), reply.header("x-request-id"));

    let list = rig
        .assert_taken("list", &Ask::new("GET", "/api/v1/webhooks").header("Authorization", &bearer))
        .await
        .json();
    assert_eq!((&list[0]["id"], &list[0]["secret"]), (&created["id"], &json!(null)));
    let path = format!("/api/v1/webhooks/{}", created["id"].as_str().unwrap());
    let log =
        Ask::new("GET", &format!("{path}/deliveries?page=1&per_page=20")).header("Authorization", &bearer);
    let log = rig.assert_taken("log", &log).await.json();
    assert_eq!(log["pagination"], json!({ "page": 1, "per_page": 20, "total": 0, "has_more": false }));
    let deleted =
        rig.assert_taken("delete", &Ask::new("DELETE", &path).header("Authorization", &bearer)).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!((deleted.header("content-type"), deleted.header("content-length")), (None, None));
}

#[tokio::test]
async fn elydora_registers_lists_and_deletes() {
    let rig = Rig::start("elydora").await;
    let bearer = format!("Bearer {}", rig.holder.text);
    let ask = Ask::new("POST", "/v1/webhooks")
        .header("Authorization", &bearer)
        .header("Content-Type", "application/json")
        .body("{\n\"endpoint_url\": \"https://hooks.acme.com/elydora\",\n\"events\": [\"operation.accepted\", \"epoch.created\"],\n\"secret\": \"my-super-secret-signing-key-32chars\"\n}");
    let reply = rig.assert_taken("curl", &ask).await;
    let created = reply.json()["webhook"].clone();
    assert_eq!(reply.status, 201);
    let members = ["webhook_id", "org_id", "endpoint_url", "events", "status", "created_at", "updated_at"];
    assert_eq!(names(&created), members);
    assert_eq!(created["created_at"], json!(1_776_506_400_000_i64));
    let list = rig
        .assert_taken("list", &Ask::new("GET", "/v1/webhooks").header("Authorization", &bearer))
        .await
        .json();
    assert_eq!(list, json!({ "webhooks": [created] }));
    let path = format!("/v1/webhooks/{}", created["webhook_id"].as_str().unwrap());
    let deleted =
        rig.assert_taken("delete", &Ask::new("DELETE", &path).header("Authorization", &bearer)).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (200, r#"{"success":true}"#));
}

#[tokio::test]
async fn pipai_registers() {
    let rig = Rig::start("pipai").await;
    let ask = Ask::new("POST", "/v1/webhooks").header("Content-Type", "application/json").body(
        "{\n\"url\": \"https://example.com/pipai-webhook\",\n\"events\": [\n\"strategy.deployed\",\n\"strategy.position_opened\",\n\
         \"strategy.error\",\n\"backtest.job_done\"\n],\n\"description\": \"Production strategy alerts\"\n}",
    );
    let reply = rig.assert_taken("curl", &rig.signed_by(&rig.holder, ask)).await;
    let created = reply.json();
    let (id, secret) = (id_of(&reply), created["secret"].as_str().unwrap());
    assert_eq!((id.len(), secret.len()), ("wh_".len() + 8, 40));
    assert_eq!(
        reply.body,
        json!({
            "id": id,
            "url": "https://example.com/pipai-webhook",
            "events": ["strategy.deployed", "strategy.position_opened", "strategy.error", "backtest.job_done"],
            "description": "Production strategy alerts",
            "status": "active",
            "consecutive_failures": 0,
            "last_delivery_at": null,
            "last_success_at": null,
            "created_at": "2026-04-18T10:00:00Z",
            "secret": secret,
            "_secret_warning": "Store this secret immediately — it will not be retrievable later.",
        })
        .to_string()
    );
    let list = rig.assert_taken("list", &rig.ask(&rig.holder, Op::WebhookList, &[], "", None)).await.json();
    assert_eq!(list["data"][0].get("secret"), None);
}
