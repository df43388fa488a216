//! The operator's view of webhooks.

use std::time::Duration;

use posthaste_core::{Audience, Clock, Response, Seq, WebhookState};
use posthaste_store::{RecordBatch, Store};
use serde_json::json;

use crate::rig::{Ended, Rig};

#[tokio::test]
async fn a_webhook_is_shown_without_its_secret() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &["strategy.*"]).await;
    rig.webhook("acme", "wh_2", &[]).await;
    let answer = rig.get("/accounts/acme/webhooks/wh_1").await;
    assert!(!answer.text.contains(webhook.secrets.current.expose_text()));
    let at = "2026-09-21T14:13:20.000Z";
    assert_eq!(
        answer.ok(200),
        json!({
            "id": "wh_1", "account": "acme", "url": "https://wh_1.example/in", "events": ["strategy.*"],
            "status": "active", "description": null, "extension": {}, "consecutive_failures": 0,
            "last_attempt_at": null, "last_success_at": null, "created_at": at, "updated_at": at,
        })
    );
    let page = rig.get("/accounts/acme/webhooks?limit=1").await.ok(200);
    assert_eq!(page["data"][0]["id"], "wh_1");
    let next = page["next"].as_str().unwrap();
    let page = rig.get(&format!("/accounts/acme/webhooks?cursor={next}")).await.ok(200);
    assert_eq!((&page["data"][0]["id"], &page["data"][0]["events"]), (&json!("wh_2"), &json!(["*"])));
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    for path in ["/accounts/other/webhooks/wh_1", "/accounts/acme/webhooks/wh_3", "/accounts/no/webhooks"] {
        assert_eq!(rig.get(path).await.told(), "404 not_found", "{path}");
    }
}

#[tokio::test]
async fn pause_and_resume_are_steps_between_states() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    for (step, status) in
        [("pause", "paused"), ("pause", "paused"), ("resume", "active"), ("resume", "active")]
    {
        let answer = rig.post(&format!("/accounts/acme/webhooks/wh_1/{step}"), "").await.ok(200);
        assert_eq!(answer["status"], status);
    }
    rig.record(RecordBatch { disable: vec![(webhook.no, "gone")], ..RecordBatch::default() }).await;
    assert_eq!(rig.post("/accounts/acme/webhooks/wh_1/pause", "").await.told(), "409 conflict");
    assert_eq!(rig.post("/accounts/acme/webhooks/wh_1/resume", "").await.ok(200)["status"], "active");
    assert_eq!(rig.store.roster().get(webhook.no).unwrap().state, WebhookState::Active);
}

#[tokio::test]
async fn a_secret_rotates_with_an_overlap() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    let path = "/accounts/acme/webhooks/wh_1/rotate-secret";
    let answer = rig.post(path, r#"{"overlap_seconds":3600}"#).await.ok(200);
    let secret = answer["secret"].as_str().unwrap();
    let now = rig.store.roster().get(webhook.no).unwrap();
    assert_eq!(now.secrets.current.expose_text(), secret);
    assert!(now.secrets.previous[0].0 == webhook.secrets.current);
    assert_eq!(answer["previous_secrets_until"], json!(["2026-09-21T15:13:20.000Z"]));
    assert_eq!(answer["dropped_secrets"], 0);
    let at_once = rig.post(path, r#"{"overlap_seconds":0}"#).await.ok(200);
    assert_ne!(at_once["secret"], answer["secret"]);
    for body in [
        json!({"overlap_seconds": -1}),
        json!({"overlap_seconds": 8 * 86_400}),
        json!({"overlap_seconds": "soon"}),
        json!({"overlap_seconds": 1.5}),
        json!({"secret": "mine, but this contract makes them"}),
    ] {
        assert_eq!(rig.post(path, body.to_string()).await.told(), "422 invalid", "{body}");
    }
    rig.post(path, r#"{"overlap_seconds":604800}"#).await.ok(200);
    rig.post(path, "").await.ok(200);
}

#[tokio::test]
async fn where_customers_bring_the_secret_the_operator_does_too() {
    let rig = Rig::with_account("elydora").await;
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    let path = "/accounts/acme/webhooks/wh_1/rotate-secret";
    for body in [json!({}), json!({"secret": "short"}), json!({"secret": " ".repeat(16)})] {
        assert_eq!(rig.post(path, body.to_string()).await.pointers(), ["/secret"], "{body}");
    }
    let answer = rig.post(path, r#"{"secret":"0123456789abcdef"}"#).await;
    assert!(!answer.text.contains("0123456789abcdef"), "{answer:?}");
    answer.ok(200);
    let now = rig.store.roster().get(webhook.no).unwrap();
    assert_eq!(now.secrets.current.expose_text(), "0123456789abcdef");
}

#[tokio::test]
async fn a_secret_that_could_not_sign_is_refused() {
    let rig = Rig::with_account("standard").await;
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    let path = "/accounts/acme/webhooks/wh_1/rotate-secret";
    for secret in ["x", "whsec_AAAA", "whsec_no base 64, whatever its length is"] {
        let body = json!({ "secret": secret }).to_string();
        assert_eq!(rig.post(path, body).await.pointers(), ["/secret"], "{secret}");
    }
    assert!(rig.store.roster().get(webhook.no).unwrap().secrets == webhook.secrets);
    rig.post(path, r#"{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#).await.ok(200);
}

#[tokio::test]
async fn a_test_is_awaited_until_its_attempt_is_recorded() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &["account.*"]).await;
    // A receiver is tested before deliveries go to it again.
    rig.post("/accounts/acme/webhooks/wh_1/pause", "").await.ok(200);
    let answered = Response { status: 503, ..Response::default() };
    let engine = async {
        let event = loop {
            if let Some(event) = rig.store.events_after(Seq(0), 1).await.unwrap().pop() {
                break event;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!((event.audience, &*event.event_type), (Audience::Webhook(webhook.no), "webhook.test"));
        let ended = Ended::Answered(answered, posthaste_core::DeliveryState::Failed);
        rig.attempted(event.seq, webhook.no, 1, ended).await;
        event
    };
    let path = "/accounts/acme/webhooks/wh_1/test";
    let (answer, event) = tokio::join!(rig.post(path, ""), engine);
    let answer = answer.ok(200);
    assert_eq!(
        (&answer["ok"], &answer["status_code"], &answer["error"], &answer["duration_ms"]),
        (&json!(false), &json!(503), &json!(null), &json!(12))
    );
    let shown = rig.get(&format!("/events/{}", answer["event_id"].as_str().unwrap())).await.ok(200);
    assert_eq!((&shown["test"], &shown["account"]), (&json!(true), &json!("acme")));
    assert_eq!(shown["webhooks"][0]["delivery_id"], answer["delivery_id"]);
    assert_eq!(event.created_at, rig.clock.now());
    let refused = rig.post(path, r#"{"event_type":"nothing.known"}"#).await;
    assert_eq!(refused.pointers(), ["/event_type"]);
}
