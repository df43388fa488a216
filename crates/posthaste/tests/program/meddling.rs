//! Customers who delete and change their webhooks while events are published.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use posthaste_core::UnixMs;
use serde_json::{Value, json};

use crate::support::{HOST, Inbox, Server, until};

/// Customers at work at one time.
const CUSTOMERS: usize = 16;
/// Rounds of a deletion against publishes, over all customers.
const ROUNDS: usize = 1_000;
/// Events published in a round. A webhook that is new gets one attempt at a time, so the later ones wait.
const EVENTS: usize = 4;

struct Customer {
    account: String,
    key: String,
}

/// One webhook deleted while events were published.
struct Round {
    events: Vec<String>,
    path: String,
    deleted_at: UnixMs,
}

async fn customer(server: &Server, account: &str) -> Customer {
    server.admin.post("/accounts", &json!({ "id": account })).await.unwrap();
    let key = server.admin.post(&format!("/accounts/{account}/keys"), &json!({})).await.unwrap();
    Customer { account: account.to_owned(), key: key["key"].as_str().unwrap().to_owned() }
}

async fn call(server: &Server, customer: &Customer, method: &str, path: &str, body: Option<Value>) -> Value {
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{}/v1/webhooks{path}", server.base))
        .header("authorization", format!("Bearer {}", customer.key))
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let answer = posthaste::http_client::send(request).await.unwrap();
    assert!(answer.status().is_success(), "{method} {path}: {answer:?}");
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

async fn publish(server: &Server, account: &str) -> String {
    let event = json!({ "type": "invoice.paid", "account": account, "data": {} });
    server.admin.post("/events", &event).await.unwrap()["id"].as_str().unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "compared with the times that the real process notes")]
fn now() -> UnixMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMs(i64::try_from(since.as_millis()).unwrap())
}

async fn round(server: &Server, customer: &Customer, number: usize) -> Round {
    let path = format!("/{}/{number}", customer.account);
    let body = json!({ "url": format!("https://{HOST}{path}") });
    let made = call(server, customer, "POST", "", Some(body)).await;
    let id = format!("/{}", made["id"].as_str().unwrap());
    // The deletion goes off beside the first of the publishes, the second, and so on.
    let answered = AtomicUsize::new(0);
    let delete = async {
        while answered.load(Ordering::SeqCst) < number % EVENTS {
            tokio::task::yield_now().await;
        }
        call(server, customer, "DELETE", &id, None).await;
        now()
    };
    let publishes = async {
        let mut events = Vec::new();
        for _ in 0..EVENTS {
            events.push(publish(server, &customer.account).await);
            answered.fetch_add(1, Ordering::SeqCst);
        }
        events
    };
    let (deleted_at, events) = tokio::join!(delete, publishes);
    Round { events, path, deleted_at }
}

/// What became of an event: the delivery's id, if it was owed to the one webhook there was.
async fn owed(server: &Server, event: &str) -> Option<String> {
    let shown = server.admin.get(&format!("/events/{event}")).await.unwrap();
    let fates = shown["webhooks"].as_array().unwrap();
    let owed = fates.iter().filter_map(|fate| fate["delivery_id"].as_str());
    let owed: Vec<&str> = owed.collect();
    assert!(owed.len() <= 1, "{shown}");
    owed.first().map(|id| (*id).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attempt_starts_after_a_deletion_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    let server = Arc::new(Server::start(folder.path(), &inbox.flags()).await);
    let mut running = Vec::new();
    for number in 0..CUSTOMERS {
        let customer = customer(&server, &format!("customer-{number}")).await;
        let server = server.clone();
        running.push(tokio::spawn(async move {
            let mut rounds = Vec::new();
            for number in 0..ROUNDS.div_ceil(CUSTOMERS) {
                rounds.push(round(&server, &customer, number).await);
            }
            rounds
        }));
    }
    let mut rounds = Vec::new();
    for customer in running {
        rounds.extend(customer.await.unwrap());
    }
    let mut allowed = BTreeSet::new();
    let (mut made, mut attempts) = (0, 0);
    for (round, event) in rounds.iter().flat_map(|round| round.events.iter().map(move |event| (round, event)))
    {
        let Some(delivery) = owed(&server, event).await else { continue };
        allowed.insert((event.clone(), round.path.clone()));
        let ended = until("the end of a delivery", async || {
            let shown = server.admin.get(&format!("/deliveries/{delivery}")).await.unwrap();
            (shown["status"] != "pending").then_some(shown)
        })
        .await;
        made += usize::from(ended["status"] == "delivered");
        for attempt in ended["attempts"].as_array().unwrap() {
            let started = UnixMs::parse_rfc3339(attempt["at"].as_str().unwrap()).unwrap();
            assert!(started <= round.deleted_at, "deleted at {:?}: {ended}", round.deleted_at);
            attempts += 1;
        }
    }
    let mut arrived = 0;
    while let Ok(arrival) = inbox.arrived.try_recv() {
        let body: Value = serde_json::from_slice(&arrival.body).unwrap();
        let what = (body["id"].as_str().unwrap().to_owned(), arrival.target.clone());
        assert!(allowed.contains(&what), "it was not owed: {what:?}");
        arrived += 1;
    }
    let published = rounds.len() * EVENTS;
    assert!(arrived >= made && !allowed.is_empty() && allowed.len() < published);
    println!(
        "{} of {published} were owed, {made} made, {attempts} attempts, {arrived} arrived",
        allowed.len()
    );
    println!("counted | tenants | publishes raced against a deletion, in the program | {published}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_while_its_webhook_changes_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    let server = Arc::new(Server::start(folder.path(), &inbox.flags()).await);
    let customer = customer(&server, "acme").await;
    let made =
        call(&server, &customer, "POST", "", Some(json!({ "url": format!("https://{HOST}/0") }))).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let is_over = Arc::new(AtomicBool::new(false));
    let meddler = {
        let (server, is_over) = (server.clone(), is_over.clone());
        tokio::spawn(async move {
            let operator = format!("/accounts/acme/webhooks/{id}");
            let mut changes = 0;
            while !is_over.load(Ordering::SeqCst) {
                server.admin.post(&format!("{operator}/pause"), &json!({})).await.unwrap();
                server.admin.post(&format!("{operator}/rotate-secret"), &json!({})).await.unwrap();
                let url = json!({ "url": format!("https://{HOST}/{changes}") });
                call(&server, &customer, "PATCH", &format!("/{id}"), Some(url)).await;
                server.admin.post(&format!("{operator}/resume"), &json!({})).await.unwrap();
                changes += 4;
            }
            changes
        })
    };
    let mut publishers = Vec::new();
    for _ in 0..8 {
        let server = server.clone();
        publishers.push(tokio::spawn(async move {
            let mut events = Vec::new();
            for _ in 0..ROUNDS / 8 {
                events.push(publish(&server, "acme").await);
            }
            events
        }));
    }
    let mut owed = BTreeSet::new();
    for publisher in publishers {
        owed.extend(publisher.await.unwrap());
    }
    is_over.store(true, Ordering::SeqCst);
    let changes = meddler.await.unwrap();
    let published = owed.len();
    while !owed.is_empty() {
        let arrival = inbox.next().await;
        let body: Value = serde_json::from_slice(&arrival.body).unwrap();
        owed.remove(body["id"].as_str().unwrap());
    }
    assert_eq!(published, ROUNDS);
    println!("{changes} changes were made meanwhile");
    println!("counted | tenants | publishes raced against changes of their webhook | {published}");
}
