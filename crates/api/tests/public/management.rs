//! Changing webhooks, testing them, and sending deliveries again.

use std::time::Duration;

use posthaste_contract::{Condition, Op};
use posthaste_core::{Clock, DeliveryState, WebhookState};
use posthaste_store::{Store, WebhookLimits, WebhookPatch};
use serde_json::json;

use crate::registration::id_of;
use crate::rig::{Ask, Rig};

const URL: &str = "https://hooks.example.com/a";

async fn rig_with_webhook() -> (Rig, String) {
    let rig = Rig::start("standard").await;
    let created = rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await;
    let id = id_of(&created);
    (rig, id)
}

#[tokio::test]
async fn what_an_update_leaves_out_stays() {
    let (rig, id) = rig_with_webhook().await;
    let before =
        rig.assert_taken("get", &rig.ask(&rig.holder, Op::WebhookGet, &[&id], "", None)).await.json();
    rig.clock.advance(Duration::from_secs(60));
    let update = |body| rig.ask(&rig.holder, Op::WebhookUpdate, &[&id], "", Some(&body));
    let after =
        rig.assert_taken("url", &update(json!({ "url": "https://hooks.example.com/b" }))).await.json();
    assert_eq!((&after["url"], &after["events"]), (&json!("https://hooks.example.com/b"), &before["events"]));
    assert_ne!(after["updated_at"], before["updated_at"]);
    let after = rig.assert_taken("events", &update(json!({ "events": ["invoice.*"] }))).await.json();
    assert_eq!(
        (&after["url"], &after["events"]),
        (&json!("https://hooks.example.com/b"), &json!(["invoice.*"]))
    );
    for (row, body, condition) in [
        ("url", json!({ "url": "https://127.0.0.1/" }), Condition::Invalid),
        ("events", json!({ "events": [] }), Condition::Invalid),
        ("no object", json!([]), Condition::BadBody),
    ] {
        rig.assert_refused(row, &update(body), condition).await;
    }
    let again = rig.assert_taken("get", &rig.ask(&rig.holder, Op::WebhookGet, &[&id], "", None)).await.json();
    assert_eq!(again, after);
}

#[tokio::test]
async fn a_new_secret_is_shown_once_and_the_former_signs_on() {
    let (rig, id) = rig_with_webhook().await;
    let before = rig.webhook(&rig.holder, &id).await;
    let rotated =
        rig.assert_taken("rotate", &rig.ask(&rig.holder, Op::WebhookRotate, &[&id], "", None)).await;
    let after = rig.webhook(&rig.holder, &id).await;
    assert_ne!(after.secrets.current.expose(), before.secrets.current.expose());
    assert!(rotated.body.contains(after.secrets.current.expose_text()), "{rotated:?}");
    assert!(!rotated.body.contains(before.secrets.current.expose_text()));
    assert_eq!(after.secrets.signing_at(rig.clock.now()).count(), 2);
    rig.clock.advance(Duration::from_hours(25));
    assert_eq!(after.secrets.signing_at(rig.clock.now()).count(), 1);
}

#[tokio::test]
async fn a_test_tells_what_the_receiver_answered() {
    for contract in ["aioka", "pipai", "standard"] {
        for (status, is_ok) in [(Some(204), true), (Some(500), false), (None, false)] {
            let rig = Rig::start(contract).await;
            let id =
                id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
            let engine = rig.answer_tests_with(status);
            let in_path = rig.route(Op::WebhookTest).path.contains('{');
            let body = if in_path { json!({}) } else { json!({ "webhook_id": id }) };
            let ids = if in_path { vec![id.as_str()] } else { vec![] };
            let reply =
                rig.assert_taken("test", &rig.ask(&rig.holder, Op::WebhookTest, &ids, "", Some(&body))).await;
            let said = format!("{contract} {status:?}: {reply:?}");
            let json = reply.json();
            let ok = [&json["success"], &json["delivered"], &json["ok"]]
                .into_iter()
                .find(|value| value.is_boolean());
            assert_eq!(ok, Some(&json!(is_ok)), "{said}");
            let shown = [&json["status_code"], &json["response_status"]]
                .into_iter()
                .any(|value| *value == json!(status));
            assert!(shown, "{said}");
            engine.abort();
        }
    }
}

#[tokio::test]
async fn a_test_of_nothing_is_not_found() {
    let rig = Rig::start("aioka").await;
    for id in ["3fa85f64-5717-4562-b3fc-2c963f66afa6"] {
        let ask = rig.ask(&rig.holder, Op::WebhookTest, &[], "", Some(&json!({ "webhook_id": id })));
        rig.assert_refused(id, &ask, Condition::NotFound).await;
    }
    for body in [json!({}), json!({ "webhook_id": 1 }), json!({ "webhook_id": null })] {
        let ask = rig.ask(&rig.holder, Op::WebhookTest, &[], "", Some(&body));
        rig.assert_refused(&body.to_string(), &ask, Condition::Invalid).await;
    }
}

#[tokio::test]
async fn a_delivery_is_shown_and_sent_again() {
    let (rig, id) = rig_with_webhook().await;
    let webhook = rig.webhook(&rig.holder, &id).await;
    let key = rig.publish(&webhook, "invoice.paid", "{\"amount\":12345678901234567890}").await;
    rig.attempt(key, 1, Some(500), DeliveryState::Failed).await;
    let delivery = rig.delivery_id(key).await;
    let get = rig.ask(&rig.holder, Op::DeliveryGet, &[&id, &delivery], "", None);
    let shown = rig.assert_taken("get", &get).await;
    assert!(shown.body.contains("{\"amount\":12345678901234567890}"), "{shown:?}");
    let resend = rig.ask(&rig.holder, Op::DeliveryResend, &[&id, &delivery], "", None);
    let resent = rig.assert_taken("resend", &resend).await;
    assert!(resent.body.contains("pending"), "{resent:?}");
    rig.assert_refused("while it is pending", &resend, Condition::Conflict).await;

    let other = id_of(&rig.assert_taken("other", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let stranger = rig.key_of(&rig.other_account("umbrella").await).await;
    for (row, holder, webhook, delivery) in [
        ("another webhook", &rig.holder, other.as_str(), delivery.as_str()),
        ("a stranger", &stranger, id.as_str(), delivery.as_str()),
        ("no such", &rig.holder, id.as_str(), "dlv_none"),
        ("changed", &rig.holder, id.as_str(), &format!("{delivery}0")),
    ] {
        for op in [Op::DeliveryGet, Op::DeliveryResend] {
            rig.assert_refused(
                row,
                &rig.ask(holder, op, &[webhook, delivery], "", None),
                Condition::NotFound,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn lists_are_narrowed_and_cut() {
    for contract in ["pipai", "standard"] {
        let rig = Rig::start(contract).await;
        let mut made = Vec::new();
        for number in 0..7 {
            let ask = rig.create(&rig.holder, &rig.new_webhook(&format!("{URL}/{number}")));
            made.push(id_of(&rig.assert_taken("create", &ask).await));
        }
        let paused = rig.webhook(&rig.holder, &made[3]).await;
        let patch = WebhookPatch { state: Some(WebhookState::Paused), ..WebhookPatch::default() };
        rig.store
            .update_webhook(paused.no, patch, WebhookLimits::default(), rig.clock.now().into())
            .await
            .unwrap();
        let active: Vec<String> = made.iter().filter(|id| **id != made[3]).cloned().collect();
        for (filter, expected) in
            [("", &made), ("&status=active", &active), ("&status=paused", &vec![made[3].clone()])]
        {
            for size in [1, 2, 3, 6, 7, 100] {
                assert_eq!(walk(&rig, size, filter).await, *expected, "{contract} {filter} by {size}");
                rig.clock.advance(Duration::from_secs(60));
            }
        }
    }
}

/// The ids on all pages of a list, by cursors.
async fn walk(rig: &Rig, size: usize, filter: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("?limit={size}{filter}{cursor}");
        let page =
            rig.assert_taken("page", &rig.ask(&rig.holder, Op::WebhookList, &[], &query, None)).await.json();
        let items = page["data"].as_array().unwrap();
        assert!(items.len() <= size);
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str().or(page["next"].as_str()) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn cursors_fit_only_their_own_list() {
    let rig = Rig::start("pipai").await;
    for number in 0..3 {
        let ask = rig.create(&rig.holder, &rig.new_webhook(&format!("{URL}/{number}")));
        rig.assert_taken("create", &ask).await;
    }
    let list = |query: &str| rig.ask(&rig.holder, Op::WebhookList, &[], query, None);
    let page = rig.assert_taken("page", &list("?limit=1")).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let changed = format!("{}{}", if cursor.starts_with('A') { 'B' } else { 'A' }, &cursor[1..]);
    for query in [
        "?limit=0".to_owned(),
        "?limit=101".into(),
        "?limit=abc".into(),
        "?status=nonsense".into(),
        format!("?limit=1&cursor={changed}"),
        format!("?limit=1&status=active&cursor={cursor}"),
        format!("?cursor={}", "A".repeat(7_000)),
        "?cursor=1".into(),
    ] {
        rig.assert_refused(&format!("Q20 {query}"), &list(&query), Condition::Invalid).await;
    }
    let stranger = rig.key_of(&rig.other_account("umbrella").await).await;
    let foreign = rig.ask(&stranger, Op::WebhookList, &[], &format!("?limit=1&cursor={cursor}"), None);
    rig.assert_refused("Q20 foreign", &foreign, Condition::Invalid).await;
}

#[tokio::test]
async fn a_log_is_read_whole_while_it_grows() {
    let (rig, id) = rig_with_webhook().await;
    let webhook = rig.webhook(&rig.holder, &id).await;
    let mut there = Vec::new();
    for _ in 0..25 {
        let key = rig.publish(&webhook, "invoice.paid", "{}").await;
        rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
        there.push(rig.delivery_id(key).await);
    }
    there.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("?limit=4{cursor}");
        let page = rig
            .assert_taken("page", &rig.ask(&rig.holder, Op::DeliveryList, &[&id], &query, None))
            .await
            .json();
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        for _ in 0..3 {
            let key = rig.publish(&webhook, "invoice.paid", "{}").await;
            rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
        }
        match page["next_cursor"].as_str().or(page["next"].as_str()) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, there, "Q14");
}

#[tokio::test]
async fn a_stopped_store_is_said_so() {
    let (rig, id) = rig_with_webhook().await;
    rig.store.close().await;
    let ask = rig.ask(&rig.holder, Op::WebhookDelete, &[&id], "", None);
    let reply = rig.send(&ask).await;
    rig.assert_is("closed", &reply, Condition::Unavailable);
    let ready = rig.send(&Ask::new("GET", "/readyz")).await;
    assert_eq!((ready.status, rig.send(&Ask::new("GET", "/healthz")).await.status), (503, 200));
}

#[tokio::test]
async fn numbered_pages_do_not_shift_under_their_reader() {
    let rig = Rig::start("aira").await;
    let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let webhook = rig.webhook(&rig.holder, &id).await;
    let deliver = async || {
        let key = rig.publish(&webhook, "case.complete", "{}").await;
        rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
        rig.delivery_id(key).await
    };
    let mut there = Vec::new();
    for _ in 0..10 {
        there.insert(0, deliver().await);
    }
    for _ in 0..2 {
        let (expected, mut seen) = (there.clone(), Vec::new());
        for page in 1..=4 {
            let query = format!("?page={page}&per_page=4");
            let log = rig.ask(&rig.holder, Op::DeliveryList, &[&id], &query, None);
            let log = rig.assert_taken("page", &log).await.json();
            seen.extend(
                log["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
            );
            let newer = deliver().await;
            there.insert(0, newer);
        }
        assert_eq!(seen, expected, "Q14; a first page begins anew");
    }
}
