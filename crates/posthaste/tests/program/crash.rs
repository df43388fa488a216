//! What was acknowledged is delivered, whatever happens to the process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Inbox, PATIENCE, Server, customer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// The server is killed when so many events are acknowledged.
const KILLED_AFTER: usize = 300;
/// Publishers at one time.
const PUBLISHERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_event_arrives_after_kill_9_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    let mut server = Server::start(folder.path(), &inbox.flags()).await;
    customer(&server, "acme").await;

    let acknowledged = publish_until_killed(&mut server, &inbox).await;
    assert!(acknowledged.len() >= KILLED_AFTER);

    let restarted = Server::start(folder.path(), &inbox.flags()).await;
    inbox.set_open(true);
    let mut missing: BTreeSet<u64> = acknowledged;
    let all_arrived = async {
        while !missing.is_empty() {
            let arrival = inbox.next().await;
            let body: Value = serde_json::from_slice(&arrival.body).unwrap();
            missing.remove(&body["data"]["number"].as_u64().unwrap());
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all_arrived).await.is_ok();
    assert!(in_time, "acknowledged and not delivered: {missing:?}\n{}", restarted.log());
}

/// Publishes numbered events from several sides until the server is killed in the middle of it. From a third on the
/// receiver answers nobody, so that attempts are under way and deliveries wait when it happens.
async fn publish_until_killed(server: &mut Server, inbox: &Inbox) -> BTreeSet<u64> {
    let next = Arc::new(AtomicUsize::new(0));
    let count = Arc::new(AtomicUsize::new(0));
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let admin = posthaste::admin_client::AdminClient::new(&server.base, token(server));
        let (next, count) = (next.clone(), count.clone());
        publishers.spawn(async move {
            let mut acknowledged = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let event = json!({"type": "load.numbered", "account": "acme", "data": {"number": number}});
                match admin.post("/events", &event).await {
                    Ok(_) => acknowledged.push(number as u64),
                    Err(_) => return acknowledged,
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let reached = |goal: usize| {
        let count = count.clone();
        crate::support::until("acknowledgements", async move || {
            (count.load(Ordering::Relaxed) >= goal).then_some(())
        })
    };
    reached(KILLED_AFTER / 3).await;
    inbox.set_open(false);
    reached(KILLED_AFTER).await;
    server.kill();
    publishers.join_all().await.into_iter().flatten().collect()
}

fn token(server: &Server) -> posthaste_core::Secret {
    posthaste::data_folder::DataFolder::at(server.folder.join("data")).token().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_store_fails_ends_and_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    let mut failing = Server::start_where_files_end_at(folder.path(), 1024).await;
    failing.admin.post("/accounts", &json!({"id": "acme"})).await.unwrap();
    let mut acknowledged = BTreeSet::new();
    let padding = "x".repeat(64 * 1024);
    for number in 0..64_u64 {
        let data = json!({"number": number, "padding": padding});
        let event = json!({"type": "load.numbered", "account": "acme", "data": data});
        match failing.admin.post("/events", &event).await {
            Ok(answer) => acknowledged.insert(answer["id"].as_str().unwrap().to_owned()),
            Err(_) => break,
        };
    }
    assert!(
        (1..64).contains(&acknowledged.len()),
        "the store takes some and fails then: {}",
        acknowledged.len()
    );
    assert_eq!(failing.wait().await.code(), Some(1), "{}", failing.log());

    let restarted = Server::start(folder.path(), &inbox.flags()).await;
    for id in &acknowledged {
        restarted.admin.get(&format!("/events/{id}")).await.unwrap();
    }
    customer(&restarted, "other").await;
    let event = json!({"type": "load.numbered", "account": "other", "data": {}});
    restarted.admin.post("/events", &event).await.unwrap();
    inbox.next().await;
}
