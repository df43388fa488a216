//! How long a refusal takes tells nothing: not whether a foreign id exists, nor how much of a secret was right.
//!
//! Requests of all kinds come mixed on one connection, and their medians are compared. Means and Welch's t are printed
//! for people; a test that fell over a busy machine would be switched off, so the bound is wide and there are three
//! tries. What takes longer only sometimes shows in t long before it shows in the median.

use posthaste_contract::model::Scheme;
use posthaste_contract::signing::SignedRequest;
use posthaste_contract::{Contract, Op};
use posthaste_core::Dice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::admin_rig::TOKEN;
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

/// Asks all kinds mixed, and says whether their medians are as near as the bound.
async fn measure(kinds: &mut [Kind], mut ask: impl AsyncFnMut(&Kind)) -> bool {
    let dice = Chance::default();
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    kinds.iter_mut().for_each(|kind| kind.took_ns.clear());
    for sample in 0..SAMPLES + SAMPLES / 10 {
        for at in (1..order.len()).rev() {
            order.swap(at, dice.below(at as u64 + 1) as usize);
        }
        for &kind in &order {
            let begun = Instant::now();
            ask(&kinds[kind]).await;
            let took = begun.elapsed();
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

/// One of three tries is even; prints what the last one saw.
async fn assert_even(what: &str, mut kinds: Vec<Kind>, mut ask: impl AsyncFnMut(&Kind)) {
    let mut is_even = false;
    let mut tries = 0;
    while !is_even && tries < TRIES {
        is_even = measure(&mut kinds, &mut ask).await;
        tries += 1;
    }
    let (first, rest) = kinds.split_first().unwrap();
    let us = |kind: &Kind| kind.median() / 1e3;
    for other in rest {
        let t = welch_t(first, other);
        let (named, than) = (first.name, other.name);
        println!("{what}: {named} {:.2} us, {than} {:.2} us, Welch's t {t:+.2}", us(first), us(other));
    }
    assert!(is_even, "{what}: after {tries} tries the medians still differ by more than {BOUND}");
    println!("counted | tenants | timed refusals, {what} | {}", kinds.len() * SAMPLES * tries);
}

/// The same for requests on one connection, all of which are answered with this status.
async fn assert_even_answers(rig: &Rig, what: &str, kinds: Vec<Kind>, status: u16) {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut room = Vec::new();
    let ask = async |kind: &Kind| {
        let answered = round_trip(&mut stream, &kind.request, &mut room).await;
        assert_eq!(answered, status, "{}", kind.name);
    };
    assert_even(what, kinds, ask).await;
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
        assert_even_answers(&rig, &format!("ids in {contract}"), kinds, 404).await;
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
    assert_even_answers(&rig, "API keys", kinds, 401).await;
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
    assert_even_answers(&rig, "request signatures", kinds, 401).await;
}

fn signed<'a>(signature: &'a str, timestamp: &'a str) -> SignedRequest<'a> {
    SignedRequest { timestamp, signature, method: "GET", target: "/v1/webhooks", body: b"" }
}

#[tokio::test(flavor = "multi_thread")]
async fn comparing_a_signature_takes_as_long_wherever_it_differs() {
    let rig = Rig::of(unhurried("pipai")).await;
    let Scheme::HmacRequest(rule) = &rig.contract.auth[0].scheme else { panic!("requests are signed") };
    let secret = rig.holder.signing_secret.as_ref().unwrap();
    let timestamp = rig.clock.time().0.to_string();
    let right = rule.sign(&signed("", &timestamp), secret);
    let wrong = |name, signature: String| Kind { name, request: signature.into_bytes(), took_ns: Vec::new() };
    let kinds = vec![
        wrong("all wrong", "0".repeat(right.len())),
        wrong("last byte wrong", with_change(&right, right.len() - 1)),
        wrong("first byte wrong", with_change(&right, 0)),
    ];
    let compare = async |kind: &Kind| {
        let signature = std::str::from_utf8(&kind.request).unwrap();
        assert!(rule.verify(&signed(signature, &timestamp), secret, rig.clock.time()).is_err());
    };
    assert_even("signatures alone", kinds, compare).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_token_that_is_nearly_right_takes_as_long_as_any() {
    let rig = crate::admin_rig::Rig::with_account("standard").await;
    let wrong = |name, token: String| Kind { name, request: token.into_bytes(), took_ns: Vec::new() };
    let kinds = vec![
        wrong("all wrong", "0".repeat(TOKEN.len())),
        wrong("last byte wrong", with_change(TOKEN, TOKEN.len() - 1)),
        wrong("first byte wrong", with_change(TOKEN, 0)),
    ];
    let ask = async |kind: &Kind| {
        let token = std::str::from_utf8(&kind.request).unwrap();
        let request =
            axum::http::Request::get("/admin/v1/accounts").header("authorization", format!("Bearer {token}"));
        let answer = rig.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 401, "{}", kind.name);
    };
    assert_even("admin tokens", kinds, ask).await;
}
