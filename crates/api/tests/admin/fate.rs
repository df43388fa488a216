//! What became of an event.

use std::time::Duration;

use posthaste_core::{Clock, DeliveryKey, Seq, UnixMs};
use posthaste_store::{RecordBatch, Spill, Store};
use serde_json::{Value, json};

use crate::rig::{Ended, Rig};

const EVENT: &str = r#"{"type":"strategy.error","data":{},"account":"acme"}"#;

async fn fates(rig: &Rig, event: &str) -> Vec<String> {
    let shown = rig.get(&format!("/events/{event}")).await.ok(200);
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let tell = |one: &Value| {
        let words = ["webhook_id", "status", "reason", "next_attempt_at"].map(|name| word(&one[name]));
        words.join(" ")
    };
    shown["webhooks"].as_array().unwrap().iter().map(tell).collect()
}

async fn handled(rig: &Rig, event: Seq) {
    rig.record(RecordBatch { checkpoint: Some(event), ..RecordBatch::default() }).await;
}

#[tokio::test]
async fn every_webhook_of_the_account_is_accounted_for() {
    let rig = Rig::with_account("pipai").await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    rig.webhook("other", "wh_foreign", &[]).await;
    let mut webhooks = Vec::new();
    for id in ["delivered", "retried", "failed", "waiting", "changed"] {
        webhooks.push(rig.webhook("acme", &format!("wh_{id}"), &["*"]).await.no);
    }
    rig.webhook("acme", "wh_uninterested", &["account.*"]).await;
    let id = rig.publish(EVENT).await;
    let event = rig.last_event().await;
    rig.webhook("acme", "wh_late", &[]).await;
    let on_its_way = fates(&rig, &id).await;
    assert_eq!(on_its_way[0], "wh_delivered pending - 2026-09-21T14:13:20.000Z");
    rig.attempted(event, webhooks[0], 1, Ended::Delivered).await;
    rig.attempted(event, webhooks[1], 1, Ended::WillBeTriedAgain).await;
    rig.attempted(event, webhooks[2], 1, Ended::GivenUp).await;
    let key = DeliveryKey { event, webhook: webhooks[3] };
    let due_at = rig.store.event(event).await.unwrap().unwrap().due_at();
    rig.record(RecordBatch { spills: vec![Spill { key, due_at, chain: None }], ..RecordBatch::default() })
        .await;
    handled(&rig, event).await;
    assert_eq!(
        fates(&rig, &id).await,
        [
            "wh_delivered delivered - -",
            "wh_retried pending - 2026-09-21T14:14:20.000Z",
            "wh_failed failed attempts_exhausted -",
            "wh_waiting pending - 2026-09-21T14:13:20.000Z",
            "wh_changed not_sent changed_later -",
            "wh_uninterested not_sent not_subscribed -",
            "wh_late not_sent created_later -",
        ]
    );
}

#[tokio::test]
async fn a_pause_holds_and_a_disabled_webhook_is_left_out() {
    let rig = Rig::with_account("pipai").await;
    let paused = rig.webhook("acme", "wh_paused", &["*"]).await;
    let disabled = rig.webhook("acme", "wh_disabled", &["*"]).await;
    rig.post("/accounts/acme/webhooks/wh_paused/pause", "").await.ok(200);
    let off = RecordBatch { disable: vec![(disabled.no, "gone")], ..RecordBatch::default() };
    rig.record(off).await;
    let id = rig.publish(EVENT).await;
    let expected = ["wh_paused held webhook_paused -", "wh_disabled not_sent webhook_disabled -"];
    assert_eq!(fates(&rig, &id).await, expected);
    let event = rig.last_event().await;
    let key = DeliveryKey { event, webhook: paused.no };
    let due_at = rig.store.event(event).await.unwrap().unwrap().due_at();
    rig.record(RecordBatch { spills: vec![Spill { key, due_at, chain: None }], ..RecordBatch::default() })
        .await;
    handled(&rig, event).await;
    assert_eq!(fates(&rig, &id).await, expected);
}

#[tokio::test]
async fn of_one_ordering_key_the_later_event_waits() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_one", &["*"]).await.no;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut body: serde_json::Value = serde_json::from_str(EVENT).unwrap();
        body["ordering_key"] = "order:1".into();
        ids.push(rig.publish(&body.to_string()).await);
        let event = rig.store.event(rig.last_event().await).await.unwrap().unwrap();
        let key = DeliveryKey { event: event.seq, webhook };
        let spills = vec![Spill { key, due_at: event.due_at(), chain: event.chain() }];
        rig.record(RecordBatch { spills, ..RecordBatch::default() }).await;
        handled(&rig, event.seq).await;
    }
    assert_eq!(fates(&rig, &ids[0]).await, ["wh_one pending - 2026-09-21T14:13:20.000Z"]);
    assert_eq!(fates(&rig, &ids[1]).await, ["wh_one pending waiting_for_order -"]);
    rig.post("/accounts/acme/webhooks/wh_one/pause", "").await.ok(200);
    assert_eq!(fates(&rig, &ids[1]).await, ["wh_one held webhook_paused -"]);
}

#[tokio::test]
async fn a_broadcast_tells_of_every_account() {
    let rig = Rig::with_account("pipai").await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    rig.webhook("acme", "wh_a", &["*"]).await;
    rig.webhook("other", "wh_b", &["*"]).await;
    let id = rig.publish(r#"{"type":"strategy.error","data":{},"broadcast":true,"id":"b-1"}"#).await;
    let told: Vec<String> = fates(&rig, &id).await;
    assert_eq!(told.iter().map(|line| &line[..12]).collect::<Vec<_>>(), ["wh_a pending", "wh_b pending"]);
    assert_eq!(rig.get("/events/b-1").await.ok(200)["id"], json!(id));
}

#[tokio::test]
async fn a_deleted_webhook_is_still_accounted_for() {
    let rig = Rig::with_account("pipai").await;
    let taken = rig.webhook("acme", "wh_taken", &["*"]).await.no;
    let owed = rig.webhook("acme", "wh_owed", &["*"]).await.no;
    rig.webhook("acme", "wh_kept", &["account.*"]).await;
    let id = rig.publish(EVENT).await;
    let event = rig.last_event().await;
    rig.attempted(event, taken, 1, Ended::Delivered).await;
    rig.attempted(event, owed, 1, Ended::WillBeTriedAgain).await;
    handled(&rig, event).await;
    for no in [taken, owed] {
        rig.store.delete_webhook(no, rig.clock.now().into()).await.unwrap();
    }
    while rig.store.tidy(UnixMs(0), true, rig.clock.now()).await.unwrap() {}
    assert!(rig.store.roster().get(taken).is_none() && rig.store.roster().get(owed).is_none());
    assert_eq!(
        fates(&rig, &id).await,
        ["wh_taken delivered - -", "wh_owed canceled webhook_deleted -", "wh_kept not_sent not_subscribed -"]
    );
    let shown = rig.get(&format!("/events/{id}")).await.ok(200);
    let delivery = shown["webhooks"][1]["delivery_id"].as_str().unwrap();
    let told = rig.get(&format!("/deliveries/{delivery}")).await.ok(200);
    assert_eq!((&told["status"], &told["attempt_count"]), (&json!("canceled"), &json!(1)));
    assert_eq!(rig.post(&format!("/deliveries/{delivery}/retry"), "").await.told(), "409 conflict");
}

#[tokio::test]
async fn unknown_events_are_not_found() {
    let rig = Rig::with_account("pipai").await;
    let id = rig.publish(EVENT).await;
    rig.clock.advance(Duration::from_secs(1));
    let near = format!("{}0", &id[..id.len() - 1]);
    let upper = id.to_uppercase();
    for unknown in [&near, &upper, "..", ".", "%00", "%ff", "null", "evt_", &"x".repeat(5_000)] {
        if *unknown != id {
            assert_eq!(rig.get(&format!("/events/{unknown}")).await.told(), "404 not_found", "{unknown}");
        }
    }
}
