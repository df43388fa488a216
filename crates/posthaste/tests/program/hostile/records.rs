//! One webhook for each hostile receiver, one event, and what stands in the log of deliveries afterwards.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthaste_core::UnixMs;
use serde_json::{Value, json};

use super::authority::Authority;
use super::receiver::{Receiver, Step};
use super::rows::{Row, rows};
use super::tls_rows::{HOST, tls_rows};
use super::waits::{SCHEDULED, waits};
use super::world::{Customer, LIMIT_MS, contract, start};
use crate::support::{Server, until};

/// The longest an attempt may go beyond its limit.
const BEYOND_MS: u64 = 250;

/// A receiver that runs, and what is to be recorded of an attempt at it.
pub(super) struct Case {
    row: Row,
    /// Of a fault, where it is one of TLS.
    detail: &'static str,
    /// Seconds to the next attempt, if there is to be one.
    wait: RangeInclusive<u64>,
    receiver: Receiver,
    pub url: String,
}

impl Case {
    /// Where its name leads, if it has one.
    pub fn connect_to(&self) -> Option<String> {
        let address = self.receiver.address;
        self.url.starts_with("https").then(|| format!("{HOST}:{}:{address}", address.port()))
    }
}

/// All there are.
pub(super) async fn cases(authority: &Authority) -> Vec<Case> {
    let scheduled = SCHEDULED..=SCHEDULED + 1;
    let mut cases = Vec::new();
    for row in rows() {
        let receiver = Receiver::always(row.script.clone()).await;
        let url = receiver.url();
        cases.push(Case { row, detail: "", wait: scheduled.clone(), receiver, url });
    }
    for row in tls_rows(authority) {
        let receiver = Receiver::start(vec![row.script.clone()], row.acceptor).await;
        let url = format!("https://{HOST}:{}/hook", receiver.address.port());
        let outcome = row.outcome.to_owned();
        let row_of = Row { kind: row.kind, name: row.name.to_owned(), script: row.script, outcome };
        cases.push(Case { row: row_of, detail: row.detail, wait: scheduled.clone(), receiver, url });
    }
    for wait in waits() {
        let script = vec![Step::Read, Step::Send(wait.answer.clone().into()), Step::Hold];
        let receiver = Receiver::always(script.clone()).await;
        let outcome = format!("{} 0B", wait.answer.split(' ').nth(1).unwrap());
        let (url, name) = (receiver.url(), wait.name.to_owned());
        let row = Row { kind: "H37", name, script, outcome };
        cases.push(Case { row, detail: "", wait: wait.seconds, receiver, url });
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_receiver_has_its_record() {
    let folder = tempfile::tempdir().unwrap();
    contract(folder.path(), &[]);
    let authority = Authority::new("ours");
    let cases = cases(&authority).await;
    let entries: Vec<String> = cases.iter().filter_map(Case::connect_to).collect();
    let server = start(folder.path(), &authority, &entries).await;
    let customer = Customer::new(&server, "acme").await;
    let mut by_webhook = HashMap::new();
    for case in cases {
        by_webhook.insert(customer.webhook(&server, &case.url, "*").await, case);
    }
    let event = json!({"type": "invoice.paid", "account": "acme", "data": {"n": 1}});
    let event = server.admin.post("/events", &event).await.unwrap();
    let mut wrong = Vec::new();
    for delivery in first_records(&server, event["id"].as_str().unwrap(), by_webhook.len()).await {
        let case = &by_webhook[delivery["webhook_id"].as_str().unwrap()];
        let found = differences(case, &delivery);
        wrong.extend(found.into_iter().map(|what| format!("{} {}: {what}", case.row.kind, case.row.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_log_is_clean(&server.log());
    println!(
        "counted | receivers | hostile receivers and their records on the running server | {}",
        by_webhook.len()
    );
}

/// Every delivery of an event, when each has had its first attempt.
async fn first_records(server: &Server, event: &str, count: usize) -> Vec<Value> {
    let fates = until("all deliveries of the event", async || {
        let event = server.admin.get(&format!("/events/{event}")).await.unwrap();
        let fates = event["webhooks"].as_array().unwrap().clone();
        (fates.len() == count && fates.iter().all(|fate| fate["delivery_id"].is_string())).then_some(fates)
    })
    .await;
    let mut deliveries = Vec::new();
    for fate in fates {
        let path = format!("/deliveries/{}", fate["delivery_id"].as_str().unwrap());
        let delivery = until("a first attempt", async || {
            let delivery = server.admin.get(&path).await.ok()?;
            (!delivery["attempts"].as_array()?.is_empty()).then_some(delivery)
        });
        deliveries.push(delivery.await);
    }
    deliveries
}

/// How a record is other than it should be.
fn differences(case: &Case, delivery: &Value) -> Vec<String> {
    let attempt = &delivery["attempts"][0];
    let mut wrong = Vec::new();
    let got = told(attempt);
    if !case.row.is_outcome(&got) {
        wrong.push(format!("expected {}, got {got}: {attempt}", case.row.outcome));
    }
    let detail = attempt["error_detail"].as_str().unwrap_or_default();
    if attempt["error"].is_string() != attempt["status_code"].is_null()
        || (detail.is_empty() != attempt["error"].is_null())
    {
        wrong.push(format!("neither answered nor failed: {attempt}"));
    }
    if !case.detail.is_empty() && detail != case.detail {
        wrong.push(format!("expected {}, got {detail}", case.detail));
    }
    if attempt["duration_ms"].as_u64().unwrap() > LIMIT_MS + BEYOND_MS {
        wrong.push(format!("took {} ms", attempt["duration_ms"]));
    }
    let stands = (delivery["status"].as_str().unwrap(), delivery["attempt_count"].as_u64().unwrap());
    let expected = match got.split(' ').next().unwrap() {
        "410" => "failed",
        status if status.len() == 3 && status.starts_with('2') => "delivered",
        _ => "pending",
    };
    if stands != (expected, 1) {
        wrong.push(format!("expected {expected} after one attempt, got {stands:?}"));
    }
    match wait_seconds(delivery) {
        None if expected == "pending" => wrong.push("no next attempt".to_owned()),
        Some(seconds) if expected != "pending" || !case.wait.contains(&seconds) => {
            wrong.push(format!("the next attempt is {seconds} s later, not {:?}", case.wait));
        }
        _ => {}
    }
    if case.receiver.accepts() != 1 || case.receiver.requests().len() > 1 {
        wrong.push(format!("{} connections", case.receiver.accepts()));
    }
    if got == "tls_error" && !case.receiver.requests().is_empty() {
        wrong.push("a request was sent".to_owned());
    }
    wrong
}

/// An attempt as the rows tell it.
fn told(attempt: &Value) -> String {
    let response = &attempt["response"];
    if let Some(error) = attempt["error"].as_str() {
        return error.to_owned();
    }
    let body = response["body"].as_str().unwrap();
    let bytes = match response["body_encoding"].as_str() {
        Some("base64") => STANDARD.decode(body).unwrap().len(),
        _ => body.len(),
    };
    let cut = if response["cut"] == true { " cut" } else { "" };
    format!("{} {bytes}B{cut}", attempt["status_code"])
}

/// From the end of the attempt to the next, to the second that has begun.
fn wait_seconds(delivery: &Value) -> Option<u64> {
    let next = ms(delivery["next_attempt_at"].as_str()?);
    let attempt = &delivery["attempts"][0];
    let ended = ms(attempt["at"].as_str().unwrap()) + attempt["duration_ms"].as_i64().unwrap();
    Some(u64::try_from(next - ended).unwrap() / 1_000)
}

fn ms(rfc3339: &str) -> i64 {
    UnixMs::parse_rfc3339(rfc3339).unwrap().0
}

/// Every line of the log is one JSON object without a control character, raw or spelled, and without what receivers say.
fn assert_log_is_clean(log: &str) {
    assert!(!log.is_empty());
    for line in log.lines() {
        assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{line:?}");
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|record| record.is_object()), "{line}");
        for theirs in ["\\u001b", "]0;", "<script", "OpenSSH", "meta-data"] {
            assert!(!line.contains(theirs), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_is_kept_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    contract(folder.path(), &[]);
    let authority = Authority::new("ours");
    let server = start(folder.path(), &authority, &[]).await;
    let customer = Customer::new(&server, "acme").await;
    let body = b"\xff\0\x1b[31m\xe2\x80\xae<script>";
    let head = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer =
        [b"HTTP/1.1 200 OK\r\nX-Bytes: \xff\xfe\r\nX-Text: \xc3\xa9\r\n", head.as_bytes(), body].concat();
    let receiver = Receiver::always(vec![Step::Read, Step::Send(answer), Step::Hold]).await;
    customer.webhook(&server, &receiver.url(), "*").await;
    let event = json!({"type": "invoice.paid", "account": "acme", "data": {}});
    let event = server.admin.post("/events", &event).await.unwrap();
    let delivery = first_records(&server, event["id"].as_str().unwrap(), 1).await.remove(0);
    let response = &delivery["attempts"][0]["response"];
    assert_eq!(response["body_encoding"], "base64");
    assert_eq!(STANDARD.decode(response["body"].as_str().unwrap()).unwrap(), body);
    assert_eq!(response["headers"]["x-text"], "\u{e9}");
    assert_eq!(response["headers_base64"], json!({"x-bytes": [STANDARD.encode(b"\xff\xfe")]}));
    let (_, request) = receiver.requests().remove(0);
    assert!(!request.to_ascii_lowercase().contains("accept-encoding"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_switches_a_webhook_off_where_the_contract_says_so() {
    for (on_410, status, state) in [("true", "failed", "disabled"), ("false", "pending", "active")] {
        let folder = tempfile::tempdir().unwrap();
        contract(folder.path(), &[("on_410  = true", &format!("on_410  = {on_410}"))]);
        let authority = Authority::new("ours");
        let server = start(folder.path(), &authority, &[]).await;
        let customer = Customer::new(&server, "acme").await;
        let gone = Step::Send(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n".to_vec());
        let receiver = Receiver::always(vec![Step::Read, gone, Step::Hold]).await;
        let id = customer.webhook(&server, &receiver.url(), "*").await;
        let event = json!({"type": "invoice.paid", "account": "acme", "data": {}});
        let event = server.admin.post("/events", &event).await.unwrap();
        let delivery = first_records(&server, event["id"].as_str().unwrap(), 1).await.remove(0);
        assert_eq!(
            (&delivery["status"], &delivery["attempts"][0]["status_code"]),
            (&json!(status), &json!(410))
        );
        let webhook = until("the webhook's state", async || {
            let webhook = server.admin.get(&format!("/accounts/acme/webhooks/{id}")).await.unwrap();
            (webhook["status"] == state || webhook["state"] == state).then_some(webhook)
        });
        webhook.await;
    }
}
