//! Looking things up: ids that lead nowhere, the log of deliveries, and what stays secret.

use std::time::Duration;

use posthaste_contract::{Condition, Op};
use posthaste_core::{DeliveryState, UnixMs};
use serde_json::json;

use crate::registration::id_of;
use crate::rig::{Ask, CONTRACTS, Rig};

const URL: &str = "https://hooks.example.com/a";

#[tokio::test]
async fn foreign_unknown_deleted_and_malformed_ids_are_alike() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let stranger = rig.key_of(&rig.other_account("umbrella").await).await;
        let foreign =
            id_of(&rig.assert_taken("foreign", &rig.create(&stranger, &rig.new_webhook(URL))).await);
        let deleted =
            id_of(&rig.assert_taken("deleted", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
        rig.assert_taken("delete", &rig.ask(&rig.holder, Op::WebhookDelete, &[&deleted], "", None)).await;
        let unknown = rig.contract.ids.webhook.random(UnixMs(0), &crate::rig::Chance::default());
        let mut told = Vec::new();
        let ids = [
            &unknown,
            &foreign,
            &deleted,
            &unknown.to_uppercase(),
            &format!("{unknown}0"),
            &format!("{{{unknown}}}"),
        ];
        for id in ids.into_iter().map(String::as_str).chain([
            "..",
            ".",
            "%00",
            "%0a",
            "'",
            "\"",
            ";",
            "*",
            "null",
            "undefined",
            "urn:uuid:x",
            "wh_2A4F10",
            "wh_2a4f1",
            "%20",
        ]) {
            for op in [Op::WebhookDelete, Op::DeliveryList, Op::WebhookGet] {
                if rig.has(op) {
                    let ask = rig.ask(&rig.holder, op, &[id], "", None);
                    let reply =
                        rig.assert_refused(&format!("Q1-Q7 D1 {id}"), &ask, Condition::NotFound).await;
                    told.push(rig.told(&reply));
                }
            }
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{contract}: {told:?}");
        rig.assert_taken(
            "the owner still has it",
            &rig.ask(&stranger, Op::WebhookDelete, &[&foreign], "", None),
        )
        .await;
        rig.tell("Q1 Q2 D1 D2 owners");
    }
}

#[tokio::test]
async fn the_secret_is_shown_once_or_never() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let created = rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await;
        let id = id_of(&created);
        let webhook = rig.webhook(&rig.holder, &id).await;
        let secret = webhook.secrets.current.expose_text();
        assert_eq!(created.body.contains(secret), contract != "elydora", "{created:?}");
        for op in [Op::WebhookList, Op::WebhookGet, Op::DeliveryList, Op::WebhookUpdate] {
            if !rig.has(op) {
                continue;
            }
            let ids = if op == Op::WebhookList { vec![] } else { vec![id.as_str()] };
            let body = (op == Op::WebhookUpdate).then(|| json!({}));
            let reply = rig.assert_taken("Q22", &rig.ask(&rig.holder, op, &ids, "", body.as_ref())).await;
            assert!(!reply.body.contains(secret), "{contract} {op:?}: {reply:?}");
        }
        rig.tell("Q22 secrets");
    }
}

#[tokio::test]
async fn a_log_of_attempts_shows_the_newest_fifty() {
    let rig = Rig::start("aioka").await;
    let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let list = rig.ask(&rig.holder, Op::DeliveryList, &[&id], "", None);
    let empty = rig.assert_taken("Q16", &list).await.json();
    assert_eq!(empty, json!({ "webhook_id": id, "deliveries": [], "count": 0 }));

    let webhook = rig.webhook(&rig.holder, &id).await;
    let first = rig.publish(&webhook, "ghost.signal", "{}").await;
    rig.attempt(first, 1, None, DeliveryState::Pending).await;
    rig.clock.advance(Duration::from_secs(5));
    rig.attempt(first, 2, Some(503), DeliveryState::Pending).await;
    let second = rig.publish(&webhook, "verdict.new", "{}").await;
    rig.attempt(second, 1, Some(200), DeliveryState::Delivered).await;
    let log = rig.assert_taken("three", &list).await.json();
    assert_eq!(log["count"], 3);
    let row = |at: usize| log["deliveries"][at].clone();
    let seen: Vec<_> = (0..3).map(|at| (row(at)["event_type"].clone(), row(at)["attempt"].clone())).collect();
    assert!(
        seen.contains(&(json!("ghost.signal"), json!(2))) && seen.contains(&(json!("verdict.new"), json!(1)))
    );
    let silent = (0..3).map(row).find(|row| row["status_code"].is_null()).unwrap();
    assert_eq!((&silent["success"], &silent["response_ms"]), (&json!(false), &json!(143)), "Q29");

    for _ in 0..60 {
        let key = rig.publish(&webhook, "verdict.new", "{}").await;
        rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
    }
    let log = rig.assert_taken("Q16 many", &list).await.json();
    assert_eq!((log["count"].clone(), log["deliveries"].as_array().unwrap().len()), (json!(50), 50));
    let again = rig.assert_taken("Q17", &list).await.json();
    assert_eq!(log, again);
}

#[tokio::test]
async fn a_log_of_deliveries_has_pages() {
    let rig = Rig::start("aira").await;
    let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let webhook = rig.webhook(&rig.holder, &id).await;
    let mut made = Vec::new();
    for number in 0..42 {
        rig.clock.advance(Duration::from_secs(1));
        let key = rig.publish(&webhook, "case.complete", &format!("{{\"case_id\":\"prn_{number}\"}}")).await;
        rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
        made.push(rig.delivery_id(key).await);
    }
    made.reverse();
    let mut seen = Vec::new();
    for (page, expected, more) in [(1, 20, true), (2, 20, true), (3, 2, false), (4, 0, false)] {
        let ask = rig.ask(&rig.holder, Op::DeliveryList, &[&id], &format!("?page={page}&per_page=20"), None);
        let log = rig.assert_taken("page", &ask).await.json();
        let pagination = json!({ "page": page, "per_page": 20, "total": 42, "has_more": more });
        assert_eq!(log["pagination"], pagination);
        let rows = log["data"].as_array().unwrap();
        assert_eq!(rows.len(), expected);
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, made);
    let first = rig.ask(&rig.holder, Op::DeliveryList, &[&id], "?per_page=1", None);
    let row = rig.assert_taken("row", &first).await.json()["data"][0].clone();
    assert_eq!(row["payload"], json!({ "case_id": "prn_41" }));
    assert_eq!(
        (&row["status"], &row["attempt"], &row["status_code"]),
        (&json!("delivered"), &json!(1), &json!(200))
    );
}

#[tokio::test]
async fn deliveries_that_wait_are_in_the_log() {
    let rig = Rig::start("aira").await;
    let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let webhook = rig.webhook(&rig.holder, &id).await;
    let sent = rig.publish(&webhook, "case.complete", "{}").await;
    rig.attempt(sent, 1, None, DeliveryState::Failed).await;
    let (older, newer) = (
        rig.publish(&webhook, "case.complete", "{}").await,
        rig.publish(&webhook, "case.complete", "{}").await,
    );
    rig.hold(older).await;
    rig.hold(newer).await;
    for size in [1, 2, 3, 20] {
        let mut rows = Vec::new();
        for page in 1..=3 {
            let query = format!("?page={page}&per_page={size}");
            let log = rig
                .assert_taken("page", &rig.ask(&rig.holder, Op::DeliveryList, &[&id], &query, None))
                .await
                .json();
            assert_eq!(log["pagination"]["total"], 3);
            rows.extend(log["data"].as_array().unwrap().iter().cloned());
        }
        let expected =
            [rig.delivery_id(newer).await, rig.delivery_id(older).await, rig.delivery_id(sent).await];
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected);
        assert_eq!((&rows[0]["status"], &rows[0]["status_code"]), (&json!("pending"), &json!(null)));
        assert_eq!((&rows[2]["status"], &rows[2]["delivered_at"]), (&json!("failed"), &json!(null)));
        rig.clock.advance(Duration::from_secs(10));
    }
}

#[tokio::test]
async fn odd_pages_are_clamped_or_empty() {
    let rig = Rig::start("aira").await;
    let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let webhook = rig.webhook(&rig.holder, &id).await;
    let key = rig.publish(&webhook, "case.complete", "{}").await;
    rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
    for (query, rows) in [
        ("page=0", 1),
        ("page=-1", 1),
        ("page=1.5", 1),
        ("page=abc", 1),
        ("page=", 1),
        ("page=%00", 1),
        ("page=%201", 1),
        ("page=+1", 1),
        ("page=1e3", 1),
        ("page=0x1", 1),
        ("page=%D9%A1", 1),
        ("page=9223372036854775807", 0),
        ("page=9223372036854775808", 0),
        ("page=1000000000000000000000000000000000000000", 0),
        ("page=1&page=2", 1),
        ("page[]=1", 1),
        ("unknown=1", 1),
        ("per_page=0", 1),
        ("per_page=101", 1),
        ("per_page=99999999999999999999", 1),
    ] {
        let ask = rig.ask(&rig.holder, Op::DeliveryList, &[&id], &format!("?{query}"), None);
        let reply = rig.assert_taken(&format!("Q10-Q13 {query}"), &ask).await;
        assert_eq!(reply.json()["data"].as_array().unwrap().len(), rows, "{query}: {reply:?}");
        rig.clock.advance(Duration::from_secs(2));
    }
    rig.tell("Q10-Q13 pages");
}

#[tokio::test]
async fn keys_see_their_own_webhooks_where_keys_own_them() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
        let sibling = rig.key_of(&rig.account).await;
        let listed = rig.assert_taken("list", &rig.ask(&sibling, Op::WebhookList, &[], "", None)).await;
        assert_eq!(listed.body.contains(&id), contract != "aioka", "{contract}: {listed:?}");
        let delete = rig.ask(&sibling, Op::WebhookDelete, &[&id], "", None);
        match contract {
            "aioka" => drop(rig.assert_refused("sibling", &delete, Condition::NotFound).await),
            _ => drop(rig.assert_taken("sibling", &delete).await),
        }
    }
}

#[tokio::test]
async fn fixed_paths_are_there() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        for (path, kind, start) in [
            ("/healthz", "text/plain; charset=utf-8", "ok"),
            ("/readyz", "text/plain; charset=utf-8", "ready"),
            ("/docs", "text/html; charset=utf-8", "<!doctype html>"),
            ("/openapi.json", "application/json", "{"),
        ] {
            let reply = rig.send(&Ask::new("GET", path)).await;
            assert!(reply.status == 200 && reply.body.starts_with(start), "{reply:?}");
            assert_eq!(reply.header("content-type"), Some(kind));
            let refused = rig.send(&Ask::new("POST", path)).await;
            assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
        }
        let openapi = rig.send(&Ask::new("GET", "/openapi.json")).await.json();
        for route in &rig.contract.routes {
            let has = |item: &serde_json::Value| item.get(route.method.word().to_lowercase()).is_some();
            assert!(openapi["paths"].as_object().unwrap().values().any(has), "{contract} {}", route.path);
        }
    }
}
