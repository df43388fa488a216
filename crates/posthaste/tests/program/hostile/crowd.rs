//! A thousand hostile receivers beside one that does well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use super::authority::Authority;
use super::records::{Case, cases};
use super::world::{Customer, contract, start_with};
use crate::support::{HOST, Inbox, PATIENCE, Server};

const WEBHOOKS: usize = 1_000;
const ACCOUNTS: usize = 10;
/// Webhooks of one account.
const EACH: usize = WEBHOOKS / ACCOUNTS;
/// What the server may take, whatever receivers do.
const MEMORY_MAX_KIB: u64 = 256 * 1024;
/// Events for the healthy receiver, with and without the others.
const TICKS: usize = 200;
const TICK: Duration = Duration::from_millis(20);
/// No delivery to the healthy receiver may take longer; how long they do take is measured elsewhere.
const LATE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
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
    let crowd: JoinSet<()> = (0..ACCOUNTS)
        .map(|number| {
            let urls = cases.iter().cycle().skip(number * EACH).take(EACH).map(|case| case.url.clone());
            gather(server.clone(), number, urls.collect())
        })
        .collect();
    crowd.join_all().await;
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
    assert!(attempts(&server).await > (2 * TICKS + WEBHOOKS) as u64, "the others were tried");
    println!("counted | receivers | hostile receivers beside a healthy one | {WEBHOOKS}");
}

/// An account whose webhooks lead to these receivers.
async fn gather(server: Arc<Server>, number: usize, urls: Vec<String>) {
    let customer = Customer::new(&server, &format!("hostile-{number}")).await;
    for url in urls {
        customer.webhook(&server, &url, "*").await;
    }
}

/// Gives the webhooks of a hostile account something to do: small events, and one as large as events may be.
async fn provoke(server: &Server, number: usize) {
    for bytes in [10, 10, 200 * 1024] {
        let data = json!({"padding": "x".repeat(bytes)});
        let event = json!({"type": "invoice.paid", "account": format!("hostile-{number}"), "data": data});
        server.admin.post("/events", &event).await.unwrap();
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
    assert!(took[TICKS - 1] <= LATE, "{:?}", took[TICKS - 1]);
    took[TICKS * 99 / 100]
}

/// How many attempts were made so far.
async fn attempts(server: &Server) -> u64 {
    let metrics = server.get("/metrics").await;
    let metrics = String::from_utf8_lossy(metrics.body()).into_owned();
    let counts = metrics.lines().filter(|line| line.starts_with("posthaste_attempts_total{"));
    counts.map(|line| line.split(' ').next_back().unwrap().parse::<u64>().unwrap()).sum()
}

/// The receivers are in this process.
fn allow_many_connections() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
