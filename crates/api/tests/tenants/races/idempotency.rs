//! One name, one event: a thousand publishers under the same idempotency key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_api::server::{ServerBounds, Site, SiteParts, serve};
use posthaste_core::Seq;
use posthaste_store::Store;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{TRIES, all_at_once, with_status};
use crate::admin_rig::{Rig, TOKEN};
use crate::rig::{Ask, Reply};

/// The admin API on a socket, with the accounts `acme` and `umbrella`.
struct Door {
    rig: Rig,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

async fn door() -> Door {
    let rig = Rig::with_account("standard").await;
    rig.post("/accounts", r#"{"id":"umbrella"}"#).await.ok(201);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let admin = Some(rig.router.clone());
    let readiness = Arc::new(|| Ok(()));
    let site = Arc::new(Site::new(SiteParts { public: None, docs: None, admin, readiness, metrics: None }));
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move { serve(listener, site, ServerBounds::default(), &[], stopped).await });
    Door { rig, address, _stop: stop }
}

fn publish(to: Option<&str>, key: &str, data: &Value) -> Vec<u8> {
    let mut event = json!({ "type": "invoice.paid", "data": data });
    match to {
        Some(account) => event["account"] = account.into(),
        None => event["broadcast"] = true.into(),
    }
    Ask::new("POST", "/admin/v1/events")
        .header("Authorization", &format!("Bearer {TOKEN}"))
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", key)
        .body(event.to_string())
        .bytes()
}

/// The same in a batch of one, with the key inside.
fn publish_in_batch(account: &str, key: &str, data: &Value) -> Vec<u8> {
    let batch = json!([{ "type": "invoice.paid", "data": data, "account": account, "id": key }]);
    Ask::new("POST", "/admin/v1/events/batch")
        .header("Authorization", &format!("Bearer {TOKEN}"))
        .header("Content-Type", "application/json")
        .body(batch.to_string())
        .bytes()
}

/// The id and whether it was a duplicate, of a single answer or the one of a batch.
fn accepted(reply: &Reply) -> Option<(String, bool)> {
    let json = reply.json();
    let one = json.get("events").map_or(&json, |events| &events[0]);
    Some((one["id"].as_str()?.to_owned(), one["duplicate"].as_bool()?))
}

async fn events(door: &Door) -> usize {
    door.rig.store.events_after(Seq(0), 10_000).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_equal_publishes_make_one_event() {
    let door = door().await;
    let data = json!({ "n": 1 });
    let one = |number: usize| match number % 2 {
        0 => publish(Some("acme"), "one", &data),
        _ => publish_in_batch("acme", "one", &data),
    };
    let answers = all_at_once(door.address, (0..TRIES).map(one).collect()).await;
    assert_eq!(with_status(&answers, 202), TRIES);
    let told: Vec<_> = answers.iter().map(|reply| accepted(reply).unwrap()).collect();
    let ids: BTreeSet<&String> = told.iter().map(|(id, _)| id).collect();
    let made = told.iter().filter(|(_, is_duplicate)| !is_duplicate).count();
    assert_eq!((ids.len(), made, events(&door).await), (1, 1, 1));
    println!("counted | tenants | equal publishes under one key | {}", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_different_publishes_under_one_key_make_one_event() {
    let door = door().await;
    // Every body ten times; a space more is another body.
    let bodies = TRIES / 10;
    let one = |number: usize| publish(Some("acme"), "one", &json!({ "n": number % bodies }));
    let answers = all_at_once(door.address, (0..TRIES).map(one).collect()).await;
    let taken: Vec<usize> = (0..TRIES).filter(|number| answers[*number].status == 202).collect();
    assert_eq!(taken.len(), 10, "the winner's body, each time it came");
    assert!(taken.iter().all(|number| number % bodies == taken[0] % bodies));
    assert_eq!(with_status(&answers, 409), TRIES - taken.len());
    assert_eq!(events(&door).await, 1);
    println!("counted | tenants | different publishes under one key | {}", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_broadcasts_do_not_share_keys() {
    let door = door().await;
    let to = [Some("acme"), Some("umbrella"), None];
    let one = |number: usize| publish(to[number % 3], "one", &json!({ "to": number % 3 }));
    let answers = all_at_once(door.address, (0..TRIES).map(one).collect()).await;
    assert_eq!(with_status(&answers, 202), TRIES);
    let mut made: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (number, reply) in answers.iter().enumerate() {
        made.entry(number % 3).or_default().insert(accepted(reply).unwrap().0);
    }
    let ids: BTreeSet<&String> = made.values().flatten().collect();
    assert!(made.values().all(|ids| ids.len() == 1), "{made:?}");
    assert_eq!((ids.len(), events(&door).await), (3, 3));
    println!("counted | tenants | publishes under one key by two accounts and to all | {}", answers.len());
}
