//! A thousand hostile receivers beside one that does well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use super::authority::Authority;
use super::records::{Case, cases};
use super::world::{Customer, contract, start_with};
use crate::support::{HOST, Inbox, PATIENCE, Server, until};

const WEBHOOKS: usize = 1_000;
const ACCOUNTS: usize = 10;
/// Webhooks of one account.
const EACH: usize = WEBHOOKS / ACCOUNTS;
/// What the server may take, whatever receivers do.
const MEMORY_MAX_KIB: u64 = 256 * 1024;
/// Events for the healthy receiver, with and without the others.
const TICKS: usize = 200;
const TICK: Duration = Duration::from_millis(20);
/// Accounts that do the same at one time: the receivers and their customers share this process.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_thousand_hostile_receivers_cost_neither_memory_nor_anybody_elses_deliveries() {
    allow_many_connections();
    let folder = tempfile::tempdir().unwrap();
    // Failed deliveries come back soon, so that the crowd stays busy.
    let delays = format!("delays      = [\"{}s\"]", super::waits::SCHEDULED);
    contract(folder.path(), &[(&delays, &format!("delays = [{}]", ["\"5s\""; 9].join(", ")))]);
    let authority = Authority::new("ours");
    let cases = cases(&authority).await;
    let mut inbox = Inbox::start().await;
    let entries: Vec<String> = cases.iter().filter_map(Case::connect_to).collect();
    let server = start_with(folder.path(), &authority, &entries, &inbox.flags()).await;
    Customer::new(&server, "healthy").await.webhook(&server, &format!("https://{HOST}/"), "*").await;
    let alone = deliver(&server, &mut inbox, 0).await;

    let server = Arc::new(server);
    let turn = Arc::new(Semaphore::new(AT_ONCE));
    let crowds: JoinSet<Crowd> = (0..ACCOUNTS)
        .map(|number| {
            let urls = cases.iter().cycle().skip(number * EACH).take(EACH).map(|case| case.url.clone());
            gather(server.clone(), turn.clone(), number, urls.collect())
        })
        .collect();
    let crowds = crowds.join_all().await;
    for number in 0..ACCOUNTS {
        provoke(&server, number).await;
    }
    let beside = deliver(&server, &mut inbox, TICKS).await;
    let peak_kib = server.peak_kib();
    println!(
        "p99 to the healthy receiver: {alone:?} alone, {beside:?} beside {WEBHOOKS}; {} MiB",
        peak_kib / 1024
    );
    assert!(peak_kib <= MEMORY_MAX_KIB, "{peak_kib} KiB");
    let mut tried = 0;
    for crowd in &crowds {
        tried += crowd.until_tried(&server).await;
    }
    assert_eq!(tried, WEBHOOKS, "each of them was tried");
    println!("counted | receivers | hostile receivers beside a healthy one | {tried}");
}

/// The webhooks of a hostile account.
struct Crowd {
    account: String,
    webhooks: Vec<String>,
}

/// An account whose webhooks lead to these receivers.
async fn gather(server: Arc<Server>, turn: Arc<Semaphore>, number: usize, urls: Vec<String>) -> Crowd {
    let _turn = turn.acquire().await.unwrap();
    let account = hostile(number);
    let customer = Customer::new(&server, &account).await;
    let mut webhooks = Vec::new();
    for url in urls {
        webhooks.push(customer.webhook(&server, &url, "*").await);
    }
    Crowd { account, webhooks }
}

impl Crowd {
    /// Waits until each has had an attempt, and counts them.
    async fn until_tried(&self, server: &Server) -> usize {
        let mut tried = 0;
        for webhook in &self.webhooks {
            let path = format!("/accounts/{}/webhooks/{webhook}", self.account);
            until("an attempt at each hostile receiver", async || {
                let webhook = server.admin.get(&path).await.ok()?;
                webhook["last_attempt_at"].is_string().then_some(())
            })
            .await;
            tried += 1;
        }
        tried
    }
}

fn hostile(number: usize) -> String {
    format!("hostile-{number}")
}

/// Gives the webhooks of a hostile account something to do: small events, and one as large as events may be.
async fn provoke(server: &Server, number: usize) {
    for bytes in [10, 10, 200 * 1024] {
        let data = json!({"padding": "x".repeat(bytes)});
        let event = json!({"type": "invoice.paid", "account": hostile(number), "data": data});
        // On a busy machine a request may be cut off; one event more does no harm.
        until("an event for a hostile account", async || server.admin.post("/events", &event).await.ok())
            .await;
    }
}

/// Publishes steadily for the healthy receiver. All of it arrives; this is how long it takes at the 99th percentile.
async fn deliver(server: &Server, inbox: &mut Inbox, first: usize) -> Duration {
    let publish = async {
        let (mut published, mut beat) = (Vec::new(), interval(TICK));
        for number in first..first + TICKS {
            beat.tick().await;
            let event = json!({"type": "invoice.paid", "account": "healthy", "data": {"number": number}});
            published.push(Instant::now());
            server.admin.post("/events", &event).await.unwrap();
        }
        published
    };
    let collect = async {
        let mut arrived = BTreeMap::new();
        while arrived.len() < TICKS {
            let arrival =
                timeout(PATIENCE, inbox.arrived.recv()).await.expect("no delivery is lost").unwrap();
            let body: Value = serde_json::from_slice(&arrival.body).unwrap();
            arrived.entry(body["data"]["number"].as_u64().unwrap()).or_insert_with(Instant::now);
        }
        arrived
    };
    let (published, arrived) = tokio::join!(publish, collect);
    let mut took: Vec<Duration> =
        arrived.values().zip(&published).map(|(arrived, published)| *arrived - *published).collect();
    took.sort_unstable();
    assert!(took[TICKS - 1] <= PATIENCE, "{:?}", took[TICKS - 1]);
    took[TICKS * 99 / 100]
}

/// The receivers are in this process.
fn allow_many_connections() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
