//! Events that are meant for a webhook only when a value crosses its own limit, from the product to the receiver.

use posthaste_contract::Contract;
use posthaste_contract::model::Scheme;
use posthaste_contract::signing::SignedRequest;
use posthaste_core::{Clock as _, Secret};
use serde_json::{Value, json};

use crate::support::{Inbox, Server, until};

const LIMIT: &str = "0.1";

/// Registers a webhook as a customer, in a signed request.
async fn register(server: &Server, key: &Value, webhook: &Value) -> String {
    let contract = Contract::builtin("pipai").unwrap();
    let Scheme::HmacRequest(rule) = &contract.auth[0].scheme else { panic!("requests are signed") };
    let timestamp = posthaste::outside::SystemClock.now().0.to_string();
    let body = webhook.to_string();
    let asked = SignedRequest {
        timestamp: &timestamp,
        signature: "",
        method: "POST",
        target: "/v1/webhooks",
        body: body.as_bytes(),
    };
    let secret = Secret::from(key["signing_secret"].as_str().unwrap().to_owned());
    let request = http::Request::post(format!("{}/v1/webhooks", server.base))
        .header("content-type", "application/json")
        .header(&rule.key_header, key["key"].as_str().unwrap())
        .header(&rule.signature_header, rule.sign(&asked, &secret))
        .header(&rule.timestamp_header, &timestamp)
        .body(body.into())
        .unwrap();
    let answer = posthaste::http_client::send(request).await.unwrap();
    assert_eq!(answer.status(), http::StatusCode::CREATED, "{:?}", answer.body());
    let shown: Value = serde_json::from_slice(answer.body()).unwrap();
    shown["id"].as_str().unwrap().to_owned()
}

async fn publish(server: &Server, available: Value) -> String {
    let data = json!({"asset": "USD", "available": available});
    let event = json!({"type": "account.balance_low", "account": "acme", "data": data});
    server.admin.post("/events", &event).await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// What became of an event at each webhook, once nothing is on its way any more.
async fn fate(server: &Server, event: &str) -> Vec<String> {
    until("the end of all deliveries", async || {
        let shown = server.admin.get(&format!("/events/{event}")).await.unwrap();
        let fates = shown["webhooks"].as_array().unwrap();
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let told = fates.iter().map(|fate| format!("{} {}", word(&fate["status"]), word(&fate["reason"])));
        let told: Vec<String> = told.collect();
        (!told.iter().any(|fate| fate.starts_with("pending"))).then_some(told)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_balance_is_told_when_it_falls_below_and_not_while_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    let flags = [&["--contract", "pipai"], &inbox.flags()[..]].concat();
    let mut server = Server::start(folder.path(), &flags).await;
    server.admin.post("/accounts", &json!({"id": "acme"})).await.unwrap();
    let rights = json!({"scopes": ["webhooks:read", "webhooks:write"]});
    let key = server.admin.post("/accounts/acme/keys", &rights).await.unwrap();
    let url = |name: &str| format!("https://{}/{name}", crate::support::HOST);
    let named =
        json!({"url": url("named"), "events": ["account.balance_low"], "balance_low_threshold": LIMIT});
    register(&server, &key, &named).await;
    register(&server, &key, &json!({"url": url("all"), "events": ["*"]})).await;

    const SENT: &str = "delivered -";
    const KEPT: &str = "not_sent not_crossed";
    let story = [
        (json!("1"), KEPT),
        (json!("0.5"), KEPT),
        (json!(0.05), SENT),
        (json!("0.04"), KEPT),
        (json!(2), KEPT),
        (json!("0.01"), SENT),
    ];
    let mut told = Vec::new();
    for (available, expected) in story {
        let event = publish(&server, available).await;
        assert_eq!(fate(&server, &event).await, [expected, KEPT], "{event}");
        told.extend((expected == SENT).then_some(event));
    }
    // Nobody answers while the program dies; what was on its way is decided again, and alike.
    inbox.set_open(false);
    let rising = publish(&server, json!("0.2")).await;
    let falling = publish(&server, json!("0.02")).await;
    let staying = publish(&server, json!("0.019")).await;
    server.kill();
    let server = Server::start(folder.path(), &flags).await;
    inbox.set_open(true);
    for (event, expected) in [(&rising, KEPT), (&falling, SENT), (&staying, KEPT)] {
        assert_eq!(fate(&server, event).await, [expected, KEPT], "{event}");
    }
    told.push(falling);
    let after = publish(&server, json!("0.018")).await;
    assert_eq!(fate(&server, &after).await, [KEPT, KEPT], "it was below before the crash");
    let mut arrived = Vec::new();
    while let Ok(arrival) = inbox.arrived.try_recv() {
        let body: Value = serde_json::from_slice(&arrival.body).unwrap();
        arrived.push(body["id"].as_str().unwrap().to_owned());
    }
    // The one under way at the crash may have arrived twice.
    arrived.dedup();
    assert_eq!(arrived, told);
}
