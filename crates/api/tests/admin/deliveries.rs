//! Deliveries with their attempts.

use std::time::Duration;

use posthaste_core::delivery::reasons;
use posthaste_core::{DeliveryState, Response};
use posthaste_store::{RecordBatch, Store};
use serde_json::{Value, json};

use crate::rig::{Ended, Rig};

const EVENT: &str = r#"{"type":"strategy.error","data":{"a":1.0},"account":"acme"}"#;
const LIST: &str = "/accounts/acme/webhooks/wh_1/deliveries";

/// A rig with a webhook and an event on its way to it; also the delivery's id.
async fn on_its_way() -> (Rig, posthaste_core::Webhook, String) {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &["*"]).await;
    let event = rig.publish(EVENT).await;
    let shown = rig.get(&format!("/events/{event}")).await.ok(200);
    let id = shown["webhooks"][0]["delivery_id"].as_str().unwrap().to_owned();
    (rig, webhook, id)
}

#[tokio::test]
async fn a_delivery_is_known_before_anything_is_written() {
    let (rig, _, id) = on_its_way().await;
    let shown = rig.get(&format!("/deliveries/{id}")).await.ok(200);
    assert_eq!(
        shown,
        json!({
            "id": id, "event_id": shown["event_id"], "event_type": "strategy.error", "account": "acme",
            "webhook_id": "wh_1", "status": "pending", "reason": null,
            "next_attempt_at": "2026-09-21T14:13:20.000Z", "created_at": "2026-09-21T14:13:20.000Z",
            "delivered_at": null, "attempt_count": 0, "attempts": [],
        })
    );
    assert_eq!(rig.post(&format!("/deliveries/{id}/retry"), "").await.told(), "409 conflict");
}

#[tokio::test]
async fn attempts_show_what_was_sent_and_what_came_back() {
    let (rig, webhook, id) = on_its_way().await;
    let event = rig.last_event().await;
    rig.attempted(event, webhook.no, 1, Ended::WillBeTriedAgain).await;
    rig.clock.advance(Duration::from_secs(60));
    let answered = Response {
        status: 200,
        headers: vec![
            ("X-A".into(), b"1".to_vec()),
            ("X-A".into(), b"\xff".to_vec()),
            ("content-type".into(), b"text/plain".to_vec()),
        ],
        body: b"\x00\xff".to_vec(),
        is_cut: false,
    };
    rig.attempted(event, webhook.no, 2, Ended::Answered(answered, DeliveryState::Delivered)).await;
    let shown = rig.get(&format!("/deliveries/{id}")).await.ok(200);
    assert_eq!((&shown["status"], &shown["attempt_count"]), (&json!("delivered"), &json!(2)));
    let [first, second] = shown["attempts"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&first["number"], &first["status_code"]), (&json!(1), &Value::Null));
    assert_eq!((&first["error"], &first["response"]), (&json!("timeout"), &Value::Null));
    assert_eq!(first["duration_ms"], 12);
    let body = first["request"]["body"].as_str().unwrap();
    assert!(body.ends_with(r#""data":{"a":1.0}}"#), "{body}");
    let headers = first["request"]["headers"].as_object().unwrap();
    let signature = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-pipai-signature")).unwrap();
    assert_eq!(signature.1, "a-remembered-signature");
    assert!(headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")));
    assert_eq!(second["request"]["body"], first["request"]["body"]);
    assert_eq!(
        second["response"],
        json!({
            "headers": {"X-A": "1, \u{fffd}", "content-type": "text/plain"},
            "headers_base64": {"X-A": ["/w=="]},
            "body": "AP8=", "body_encoding": "base64", "cut": false,
        })
    );
    assert!(!rig.get(LIST).await.text.contains("a-remembered-signature"));
}

#[tokio::test]
async fn a_list_has_every_delivery_once() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &["*"]).await;
    let key = |event| posthaste_core::DeliveryKey { event, webhook: webhook.no };
    rig.publish(EVENT).await;
    let cancels = vec![(key(rig.last_event().await), reasons::WEBHOOK_DISABLED)];
    rig.record(RecordBatch { cancels, ..RecordBatch::default() }).await;
    for _ in 0..5 {
        rig.clock.advance(Duration::from_secs(1));
        rig.publish(EVENT).await;
        rig.attempted(rig.last_event().await, webhook.no, 1, Ended::Delivered).await;
    }
    let mut waiting = Value::Null;
    for _ in 0..3 {
        rig.clock.advance(Duration::from_secs(1));
        waiting = json!(rig.publish(EVENT).await);
        let key = key(rig.last_event().await);
        let spills = vec![posthaste_store::Spill { key, due_at: posthaste_core::UnixMs(0), chain: None }];
        rig.record(RecordBatch { spills, ..RecordBatch::default() }).await;
    }
    for limit in [1, 2, 4, 50] {
        let mut seen = Vec::new();
        let mut path = format!("{LIST}?limit={limit}");
        for _ in 0..10 {
            let page = rig.get(&path).await.ok(200);
            seen.extend(page["data"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            path = format!("{LIST}?limit={limit}&cursor={next}");
        }
        let states: Vec<&str> = seen.iter().map(|one| one["status"].as_str().unwrap()).collect();
        let expected = [&["pending"; 3][..], &["delivered"; 5], &["canceled"]].concat();
        assert_eq!(states, expected, "{limit}");
        assert_eq!(seen[0]["event_id"], waiting);
        let times: Vec<&str> = seen.iter().map(|one| one["created_at"].as_str().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[0] > pair[1]), "{times:?}");
        assert!(seen[3]["attempts"][0].get("request").is_none());
    }
}

#[tokio::test]
async fn an_ended_delivery_can_be_made_again() {
    let (rig, webhook, id) = on_its_way().await;
    let event = rig.last_event().await;
    let path = format!("/deliveries/{id}/retry");
    for ended in [Ended::GivenUp, Ended::Delivered] {
        let number = rig.get(&format!("/deliveries/{id}")).await.ok(200)["attempt_count"].as_u64().unwrap();
        rig.attempted(event, webhook.no, number as u32 + 1, ended).await;
        let shown = rig.post(&path, "").await.ok(202);
        assert_eq!((&shown["status"], &shown["reason"]), (&json!("pending"), &json!("resent")));
        assert_eq!(rig.post(&path, "").await.told(), "409 conflict", "it is pending already");
    }
    rig.attempted(event, webhook.no, 3, Ended::GivenUp).await;
    rig.store
        .delete_webhook(webhook.no, rig.store.event(event).await.unwrap().unwrap().created_at.into())
        .await
        .unwrap();
    assert_eq!(rig.post(&path, "").await.told(), "409 conflict", "its webhook is gone");
    for unknown in ["dlv_x", "%00", "..", &format!("{}0", &id[..id.len() - 1])] {
        if unknown != id {
            assert_eq!(rig.post(&format!("/deliveries/{unknown}/retry"), "").await.told(), "404 not_found");
        }
    }
}

#[tokio::test]
async fn recovery_counts_first_and_then_repeats_the_failed_ones() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &["*"]).await;
    for n in 0..6 {
        rig.publish(EVENT).await;
        let ended = if n % 2 == 0 { Ended::GivenUp } else { Ended::Delivered };
        rig.attempted(rig.last_event().await, webhook.no, 1, ended).await;
        rig.clock.advance(Duration::from_secs(60));
    }
    let path = "/accounts/acme/webhooks/wh_1/recover";
    let asked = |body: Value| rig.post(path, body.to_string());
    let all = json!({"since": "2026-09-21T14:00:00Z", "dry_run": true});
    let counted = asked(all.clone()).await.ok(200);
    assert_eq!(
        counted,
        json!({
            "dry_run": true, "since": "2026-09-21T14:00:00.000Z", "until": "2026-09-21T14:19:20.000Z",
            "count": 3, "capped": false, "next": counted["next"],
        })
    );
    let mut behind = all.clone();
    behind["cursor"] = counted["next"].clone();
    let nothing = asked(behind.clone()).await.ok(200);
    assert_eq!((&nothing["count"], &nothing["next"]), (&json!(0), &Value::Null));
    let two = json!({"since": "2026-09-21T14:00:00Z", "until": "2026-09-21T14:16:20Z", "dry_run": true});
    let two = asked(two).await.ok(200);
    assert_eq!(two["count"], 2);
    behind["cursor"] = two["next"].clone();
    let last = asked(behind).await.ok(200);
    assert_eq!((&last["count"], &last["next"]), (&json!(1), &counted["next"]));
    let late = json!({"since": "2026-09-21T14:14:00Z", "until": "2026-09-21T14:16:20Z", "dry_run": true});
    assert_eq!(asked(late.clone()).await.ok(200)["count"], 1);
    let mut for_real = late;
    for_real["dry_run"] = json!(false);
    assert_eq!(asked(for_real).await.ok(202)["count"], 1);
    assert_eq!(asked(all).await.ok(200)["count"], 2);
    for body in [
        json!({}),
        json!({"since": null}),
        json!({"since": "yesterday"}),
        json!({"since": "2026-09-21T14:00:00Z", "until": "2026-09-21T13:00:00Z"}),
        json!({"since": "2030-01-01T00:00:00Z"}),
        json!({"since": "2026-09-21T14:00:00Z", "dry_run": 1}),
        json!({"since": "2026-09-21T14:00:00Z", "dryrun": true}),
        json!({"since": "2026-09-21T14:00:00Z", "cursor": "AAAA"}),
        json!({"since": "2026-09-21T14:00:00Z", "cursor": 7}),
    ] {
        assert_eq!(asked(body.clone()).await.told(), "422 invalid", "{body}");
    }
    assert_eq!(rig.post("/accounts/acme/webhooks/wh_2/recover", "{}").await.told(), "404 not_found");
}

#[tokio::test]
async fn a_broadcast_names_the_account_it_goes_to() {
    let rig = Rig::with_account("elydora").await;
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    let known = &rig.contract.events.types[0].name;
    rig.publish(&json!({"type": known, "data": {"a": 1}, "broadcast": true}).to_string()).await;
    rig.attempted(rig.last_event().await, webhook.no, 1, Ended::Delivered).await;
    let listed = rig.get(LIST).await.ok(200);
    let id = listed["data"][0]["id"].as_str().unwrap();
    let shown = rig.get(&format!("/deliveries/{id}")).await.ok(200);
    let body = shown["attempts"][0]["request"]["body"].as_str().unwrap();
    assert!(body.contains(r#""org_id":"acme""#) && body.contains(r#""data":{"a":1}"#), "{body}");
}

#[tokio::test]
async fn a_webhook_that_is_off_is_resumed_before_anything_is_repeated() {
    let (rig, webhook, id) = on_its_way().await;
    rig.attempted(rig.last_event().await, webhook.no, 1, Ended::GivenUp).await;
    rig.record(RecordBatch { disable: vec![(webhook.no, "gone")], ..RecordBatch::default() }).await;
    let (retry, recover) =
        (format!("/deliveries/{id}/retry"), "/accounts/acme/webhooks/wh_1/recover".to_owned());
    let since = json!({"since": "2026-09-21T14:00:00Z", "dry_run": true}).to_string();
    for (path, body) in [(&retry, ""), (&recover, since.as_str())] {
        let refused = rig.post(path, body.to_owned()).await;
        assert_eq!(refused.told(), "409 conflict");
        assert!(refused.text.contains("resume it first"), "{refused:?}");
    }
    rig.post("/accounts/acme/webhooks/wh_1/resume", "").await.ok(200);
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(rig.post(&recover, since).await.ok(200)["count"], 1);
    rig.post(&retry, "").await.ok(202);
}
