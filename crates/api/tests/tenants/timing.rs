//! How long a refusal takes tells nothing: not whether a foreign id exists, nor how much of a secret was right.
//!
//! Requests of all kinds come mixed on one connection, and their medians are compared. Means and Welch's t are printed
//! for people; a test that fell over a busy machine would be switched off, so the bound is wide and there are three
//! tries. What takes longer only sometimes shows in t long before it shows in the median.

use std::time::Duration;

use posthaste_contract::model::Scheme;
use posthaste_contract::signing::SignedRequest;
use posthaste_contract::{Contract, Op};
use posthaste_core::Dice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::asking::{About, request};
use crate::callers::far_along;
use crate::holdings::{delete, register};
use crate::rig::{Ask, Chance, Rig};

/// Requests of each kind in one try.
const SAMPLES: usize = 2_500;
const TRIES: usize = 3;
/// The medians of two kinds may differ by this part of the smaller one.
const BOUND: f64 = 0.2;

/// One kind of request, and how long it took.
struct Kind {
    name: &'static str,
    request: Vec<u8>,
    took_ns: Vec<f64>,
}

impl Kind {
    fn new(name: &'static str, ask: &Ask) -> Self {
        let request = ask.bytes();
        let text = String::from_utf8(request).unwrap().replacen("Connection: close\r\n", "", 1);
        Self { name, request: text.into_bytes(), took_ns: Vec::new() }
    }

    fn median(&self) -> f64 {
        let mut sorted = self.took_ns.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// Mean and variance of the fastest nineteen in twenty: the rest is the machine's doing.
    fn moments(&self) -> (f64, f64) {
        let mut sorted = self.took_ns.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.truncate(sorted.len() * 19 / 20);
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        (mean, sorted.iter().map(|took| (took - mean).powi(2)).sum::<f64>() / (count - 1.0))
    }
}

fn welch_t(a: &Kind, b: &Kind) -> f64 {
    let ((mean_a, variance_a), (mean_b, variance_b)) = (a.moments(), b.moments());
    let count = (SAMPLES * 19 / 20) as f64;
    (mean_a - mean_b) / ((variance_a + variance_b) / count).sqrt()
}

/// One request on a connection that stays open; answers the status.
async fn round_trip(stream: &mut TcpStream, request: &[u8], room: &mut Vec<u8>) -> u16 {
    stream.write_all(request).await.unwrap();
    room.clear();
    loop {
        assert!(stream.read_buf(room).await.unwrap() > 0, "the connection was closed");
        let text = String::from_utf8_lossy(room);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

/// Sends all kinds mixed, and says whether their medians are as near as the bound.
async fn measure(rig: &Rig, kinds: &mut [Kind], status: u16) -> bool {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut room = Vec::new();
    let dice = Chance::default();
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    kinds.iter_mut().for_each(|kind| kind.took_ns.clear());
    for sample in 0..SAMPLES + SAMPLES / 10 {
        for at in (1..order.len()).rev() {
            order.swap(at, dice.below(at as u64 + 1) as usize);
        }
        for &kind in &order {
            let begun = Instant::now();
            let answered = round_trip(&mut stream, &kinds[kind].request, &mut room).await;
            let took = begun.elapsed();
            assert_eq!(answered, status, "{}", kinds[kind].name);
            // The first tenth warms up.
            if sample >= SAMPLES / 10 {
                kinds[kind].took_ns.push(took.as_nanos() as f64);
            }
        }
    }
    let medians = kinds.iter().map(Kind::median);
    let (least, most) = medians.fold((f64::MAX, 0.0_f64), |(least, most), m| (least.min(m), most.max(m)));
    most <= least * (1.0 + BOUND)
}

async fn assert_even(rig: &Rig, what: &str, mut kinds: Vec<Kind>, status: u16) {
    let mut is_even = false;
    let mut tries = 0;
    while !is_even && tries < TRIES {
        is_even = measure(rig, &mut kinds, status).await;
        tries += 1;
    }
    let (first, rest) = kinds.split_first().unwrap();
    for other in rest {
        let us = |kind: &Kind| Duration::from_nanos(kind.median() as u64).as_secs_f64() * 1e6;
        println!(
            "{what}: {} {:.1} us, {} {:.1} us, Welch's t {:+.2}",
            first.name,
            us(first),
            other.name,
            us(other),
            welch_t(first, other)
        );
    }
    assert!(is_even, "{what}: after {tries} tries the medians still differ by more than {BOUND}");
    println!("counted | tenants | timed answers, {what} | {}", kinds.len() * SAMPLES * tries);
}

fn unhurried(contract: &str) -> Contract {
    let mut contract = Contract::builtin(contract).unwrap();
    contract.routes.iter_mut().for_each(|route| route.rates.clear());
    contract
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_id_takes_as_long_as_one_that_never_was() {
    for (contract, op) in
        [("standard", Op::WebhookGet), ("pipai", Op::WebhookGet), ("aira", Op::DeliveryList)]
    {
        let rig = Rig::of(unhurried(contract)).await;
        let owners = register(&rig, &rig.holder, "https://hooks.example.com/a").await;
        let gone = register(&rig, &rig.holder, "https://hooks.example.com/b").await;
        delete(&rig, &rig.holder, &gone).await;
        let stranger = rig.key_of(&rig.other_account("umbrella").await).await;
        let random = rig.contract.ids.webhook.random(rig.clock.time(), &far_along());
        let route = rig.route(op).clone();
        let kind = |name, id: &str| {
            Kind::new(name, &request(&rig, &stranger, &route, route.method.word(), &About::new("", id, "")))
        };
        let kinds = vec![kind("random", &random), kind("foreign", &owners.id), kind("deleted", &gone.id)];
        assert_even(&rig, &format!("ids in {contract}"), kinds, 404).await;
        rig.stop().await;
    }
}

/// The text with one character changed to another of its kind.
fn with_change(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_nearly_right_takes_as_long_as_any() {
    let rig = Rig::of(unhurried("standard")).await;
    let right = rig.holder.text.clone();
    let ask = |key: &str| Ask::new("GET", "/v1/webhooks").header("Authorization", &format!("Bearer {key}"));
    let other = rig.contract.new_key(None, &far_along());
    let kinds = vec![
        Kind::new("unknown", &ask(other.key.expose_text())),
        Kind::new("last byte wrong", &ask(&with_change(&right, right.len() - 1))),
        Kind::new("first byte wrong", &ask(&with_change(&right, 3))),
    ];
    assert_even(&rig, "API keys", kinds, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_nearly_right_takes_as_long_as_any() {
    let rig = Rig::of(unhurried("pipai")).await;
    let sound = rig.signed_by(&rig.holder, Ask::new("GET", "/v1/webhooks"));
    let Scheme::HmacRequest(rule) = &rig.contract.auth[0].scheme else { panic!("requests are signed") };
    let header = &rule.signature_header;
    let right = sound.headers.iter().find(|(name, _)| name == header).unwrap().1.clone();
    let ask = |signature: &str| sound.clone().without(header).header(header, signature);
    let kinds = vec![
        Kind::new("all wrong", &ask(&"0".repeat(right.len()))),
        Kind::new("last byte wrong", &ask(&with_change(&right, right.len() - 1))),
        Kind::new("first byte wrong", &ask(&with_change(&right, 0))),
    ];
    assert_even(&rig, "request signatures", kinds, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comparing_a_signature_takes_as_long_wherever_it_differs() {
    let rig = Rig::of(unhurried("pipai")).await;
    let Scheme::HmacRequest(rule) = &rig.contract.auth[0].scheme else { panic!("requests are signed") };
    let secret = rig.holder.signing_secret.as_ref().unwrap();
    let timestamp = rig.clock.time().0.to_string();
    let signed = |signature| SignedRequest {
        timestamp: &timestamp,
        signature,
        method: "GET",
        target: "/v1/webhooks",
        body: b"",
    };
    let right = rule.sign(&signed(""), secret);
    let wrong = ["0".repeat(right.len()), with_change(&right, right.len() - 1), with_change(&right, 0)];
    let names = ["all wrong", "last byte wrong", "first byte wrong"];
    let mut is_even = false;
    let mut compared = 0;
    for _ in 0..TRIES {
        let mut kinds = names.map(|name| Kind { name, request: Vec::new(), took_ns: Vec::new() });
        for _ in 0..SAMPLES {
            for (kind, signature) in kinds.iter_mut().zip(&wrong) {
                let begun = Instant::now();
                assert!(rule.verify(&signed(signature), secret, rig.clock.time()).is_err());
                kind.took_ns.push(begun.elapsed().as_nanos() as f64);
                compared += 1;
            }
        }
        let medians = kinds.each_ref().map(Kind::median);
        println!("signatures in {names:?}: {medians:?} ns, t {:+.2}", welch_t(&kinds[1], &kinds[2]));
        is_even =
            medians.iter().all(|m| *m <= medians.iter().copied().fold(f64::MAX, f64::min) * (1.0 + BOUND));
        if is_even {
            break;
        }
    }
    assert!(is_even);
    println!("counted | tenants | signatures compared under the clock | {compared}");
}
