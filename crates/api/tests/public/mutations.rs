//! Sound requests with something in them changed at random, and bodies made of pieces at random: whatever they become,
//! the answer is no fault of ours, comes in time, and leaves the service ready.

use posthaste_contract::Op;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::{CONTRACTS, Rig};

/// Requests of each kind for each contract.
const CASES: usize = 150;
/// The longest any one may take; the server's own bounds on time are shorter.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// One change to a request's bytes. Places are shares of its length.
#[derive(Debug, Clone)]
enum Change {
    Overwrite(f64, u8),
    Insert(f64, Vec<u8>),
    Cut(f64, usize),
    Repeat(f64, usize, usize),
    Swap(f64, f64),
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let place = |share: &f64| (share * length as f64) as usize % length;
        match self {
            Self::Overwrite(at, byte) => bytes[place(at)] = *byte,
            Self::Insert(at, more) => drop(bytes.splice(place(at)..place(at), more.iter().copied())),
            Self::Cut(at, count) => drop(bytes.drain(place(at)..length.min(place(at) + count))),
            Self::Repeat(at, count, times) => {
                let piece = bytes[place(at)..length.min(place(at) + count)].repeat(*times);
                drop(bytes.splice(place(at)..place(at), piece));
            }
            Self::Swap(one, other) => bytes.swap(place(one), place(other)),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..40),
        prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\0",
            ":",
            " ",
            "\t",
            "\r\n\r\n",
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Host: y\r\n",
            "Expect: 100-continue\r\n",
            "0\r\n\r\n",
            "ffffffff\r\n",
            "%00",
            "../",
            "\u{feff}",
            "\\u0000",
            "\\ud800",
            "{",
            "[",
            "\"",
            ",",
            "null",
            "1e999",
            "-",
            "é",
            "HTTP/1.0",
            "#",
            "?",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let change = prop_oneof![
        (0.0..1.0, any::<u8>()).prop_map(|(at, byte)| Change::Overwrite(at, byte)),
        (0.0..1.0, piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (0.0..1.0, 1..60usize).prop_map(|(at, count)| Change::Cut(at, count)),
        (0.0..1.0, 1..60usize, 1..50usize).prop_map(|(at, count, times)| Change::Repeat(at, count, times)),
        (0.0..1.0, 0.0..1.0).prop_map(|(one, other)| Change::Swap(one, other)),
    ];
    prop::collection::vec(change, 1..6)
}

/// Sends bytes and no more; answers the status lines that came back.
async fn statuses(rig: &Rig, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let sent = async {
        // The server may refuse and close before everything is sent.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    let answer = timeout(PATIENCE, sent)
        .await
        .unwrap_or_else(|_| panic!("no end: {:?}", String::from_utf8_lossy(bytes)));
    let text = String::from_utf8_lossy(&answer);
    text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

/// What a run came by, told at its end.
#[derive(Default)]
struct Seen {
    requests: usize,
    answered: usize,
}

impl Seen {
    async fn send(&mut self, rig: &Rig, bytes: &[u8]) {
        let statuses = statuses(rig, bytes).await;
        let is_ours = statuses.iter().any(|status| *status >= 500);
        assert!(!is_ours, "{statuses:?}: {:?}", String::from_utf8_lossy(bytes));
        self.requests += 1;
        self.answered += usize::from(!statuses.is_empty());
        // Rates are a matter of their own test.
        rig.clock.advance(std::time::Duration::from_secs(2));
    }

    async fn tell(&self, rig: &Rig, what: &str) {
        rig.assert_ready().await;
        assert!(self.answered * 2 > self.requests, "most are answered");
        println!("counted | requests | {what} ({}) | {}", rig.contract.name, self.requests);
    }
}

#[tokio::test]
async fn changed_requests_break_nothing() {
    let mut runner = TestRunner::deterministic();
    let strategy = changes();
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let mut seen = Seen::default();
        for case in 0..CASES {
            let changes = strategy.new_tree(&mut runner).unwrap().current();
            let mut bytes = match case % 3 {
                0 => rig.ask(&rig.holder, Op::WebhookList, &[], "?limit=1&page=1", None).bytes(),
                _ => rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a")).bytes(),
            };
            changes.iter().for_each(|change| change.make(&mut bytes));
            seen.send(&rig, &bytes).await;
        }
        seen.tell(&rig, "changed requests").await;
    }
}

/// JSON of any shape, with strings and numbers that are made to hurt.
fn any_json() -> impl Strategy<Value = Value> {
    let texts = vec![
        "",
        "*",
        "https://hooks.example.com/a",
        "http://169.254.169.254/",
        "\0",
        "\u{202e}",
        "'; DROP TABLE webhooks; --",
        "../../etc/passwd",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "1e999",
        "-0",
        "null",
        "verdict.new",
        "case.complete",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(texts).prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".{0,12}", inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[tokio::test]
async fn any_json_breaks_nothing() {
    let mut runner = TestRunner::deterministic();
    let strategy = any_json();
    let mut any = || strategy.new_tree(&mut runner).unwrap().current();
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let mut seen = Seen::default();
        let input = &rig.contract.inputs[rig.route(Op::WebhookCreate).input.unwrap()];
        for case in 0..CASES {
            let body = if case % 4 == 0 {
                any()
            } else {
                // One field of a sound body, in turn, is something else.
                let mut body = rig.new_webhook("https://hooks.example.com/a");
                body[input.fields[case % input.fields.len()].at.join(".")] = any();
                body
            };
            let ask = rig.create(&rig.holder, &body);
            seen.send(&rig, &ask.bytes()).await;
        }
        seen.tell(&rig, "bodies at random").await;
    }
}
