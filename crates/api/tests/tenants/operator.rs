//! The operator's paths: what one account's path names is that account's, or there is no such thing.

use std::time::Duration;

use posthaste_contract::PublicIds;
use posthaste_core::{Seq, Webhook};
use posthaste_store::Store;
use serde_json::Value;

use crate::admin_rig::{Answer, Ended, Rig};
use crate::rig::CONTRACTS;

/// What hangs below an account, as method, path below `/accounts/{account}`, and body.
const BELOW_WEBHOOK: [(&str, &str, &str); 7] = [
    ("GET", "", ""),
    ("POST", "/pause", ""),
    ("POST", "/resume", ""),
    ("POST", "/rotate-secret", "{}"),
    ("POST", "/test", "{}"),
    ("GET", "/deliveries", ""),
    ("POST", "/recover", r#"{"since":"2020-01-01T00:00:00Z"}"#),
];
const OF_ACCOUNT: [(&str, &str, &str); 7] = [
    ("GET", "", ""),
    ("PATCH", "", r#"{"name":"x"}"#),
    ("DELETE", "", ""),
    ("GET", "/keys", ""),
    ("POST", "/keys", "{}"),
    ("GET", "/webhooks", ""),
    ("DELETE", "/keys/key_1", ""),
];
const MALFORMED: [&str; 8] = ["0", "-1", "%00", "%2e%2e", "*", "null", "a%2Fb", "'%20OR%201=1--"];

/// Status, headers and body, less the request's id.
fn bytes(answer: &Answer) -> String {
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.as_str() != "x-request-id")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    format!("{}\n{headers:?}\n{}", answer.status, answer.text.replace(id, "REQUEST"))
}

/// All of these are answered alike, and as not found. Answers how many were compared.
async fn assert_alike(rig: &Rig, method: &str, paths: &[String], body: &str) -> usize {
    let mut first: Option<Answer> = None;
    for path in paths {
        let answer = rig.call(method, path, body.to_owned()).await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        if let Some(first) = &first {
            assert_eq!(bytes(&answer), bytes(first), "{method} {path}");
        }
        first.get_or_insert(answer);
    }
    paths.len() - 1
}

async fn key_of(rig: &Rig, account: &str) -> String {
    let key = rig.post(&format!("/accounts/{account}/keys"), "{}").await.ok(201);
    key["id"].as_str().unwrap().to_owned()
}

/// A webhook with a delivery that failed; answers that delivery's id too.
async fn webhook(rig: &Rig, account: &str, id: &str) -> (Webhook, String) {
    let webhook = rig.webhook(account, id, &[]).await;
    let event_type = event_type(rig);
    rig.publish(&format!(r#"{{"type":"{event_type}","account":"{account}","data":{{"of":"{account}"}}}}"#))
        .await;
    let event = rig.last_event().await;
    rig.attempted(event, webhook.no, 1, Ended::GivenUp).await;
    let ids = PublicIds::new(&rig.contract, rig.store.id_key());
    let at = rig.store.event(event).await.unwrap().unwrap().created_at;
    let key = posthaste_core::DeliveryKey { event, webhook: webhook.no };
    (webhook, ids.delivery(key, at))
}

fn event_type(rig: &Rig) -> String {
    let known = rig.contract.events.types.iter().find(|known| !known.internal);
    known.map_or("invoice.paid".to_owned(), |known| known.name.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_path_leads_to_nothing_of_another() {
    let (mut rows, mut compared) = (0, 0);
    for contract in CONTRACTS {
        let rig = Rig::with_account(contract).await;
        rig.post("/accounts", r#"{"id":"umbrella"}"#).await.ok(201);
        let (theirs, _) = webhook(&rig, "umbrella", "wh-theirs").await;
        let (gone, _) = webhook(&rig, "acme", "wh-gone").await;
        rig.store.delete_webhook(gone.no, posthaste_core::Clock::now(&*rig.clock).into()).await.unwrap();
        let key = key_of(&rig, "umbrella").await;
        let before = whole(&rig, "umbrella", &theirs).await;
        let mut ids = vec!["wh-theirs", "wh-gone", "wh-never", "wh_01ARZ3NDEKTSV4RRFFQ69G5FAV"];
        ids.extend(MALFORMED);
        for (method, below, body) in BELOW_WEBHOOK {
            let paths: Vec<String> =
                ids.iter().map(|id| format!("/accounts/acme/webhooks/{id}{below}")).collect();
            compared += assert_alike(&rig, method, &paths, body).await;
            rows += paths.len();
        }
        let mut keys = vec![key.as_str(), "key_never", "key_1"];
        keys.extend(MALFORMED);
        let paths: Vec<String> = keys.iter().map(|id| format!("/accounts/acme/keys/{id}")).collect();
        compared += assert_alike(&rig, "DELETE", &paths, "").await;
        rows += paths.len();
        assert_eq!(whole(&rig, "umbrella", &theirs).await, before, "{contract}");
        let listed = rig.get("/accounts/acme/webhooks").await.ok(200);
        assert_eq!(listed["data"], Value::Array(vec![]), "{contract}");
    }
    println!("counted | tenants | admin paths with ids of others | {rows}");
    println!("counted | tenants | admin answers compared byte by byte | {compared}");
}

/// Everything the operator can see of a webhook and its account.
async fn whole(rig: &Rig, account: &str, webhook: &Webhook) -> Vec<String> {
    let mut seen = Vec::new();
    for path in ["", "/keys", "/webhooks", &format!("/webhooks/{}", webhook.id)] {
        seen.push(rig.get(&format!("/accounts/{account}{path}")).await.text);
    }
    seen.push(rig.get(&format!("/accounts/{account}/webhooks/{}/deliveries", webhook.id)).await.text);
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belonged_to_a_deleted_account_is_gone_at_once() {
    let (mut rows, mut compared) = (0, 0);
    for contract in CONTRACTS {
        let rig = Rig::with_account(contract).await;
        rig.post("/accounts", r#"{"id":"umbrella"}"#).await.ok(201);
        let (_, delivery) = webhook(&rig, "umbrella", "wh-theirs").await;
        let event = rig.get(&format!("/deliveries/{delivery}")).await.ok(200);
        // One that is still owed keeps the webhook in the engine's sight.
        let owed = rig
            .publish(&format!(r#"{{"type":"{}","account":"umbrella","data":{{}}}}"#, event_type(&rig)))
            .await;
        rig.get(&format!("/events/{owed}")).await.ok(200);
        rig.call("DELETE", "/accounts/umbrella", "").await;
        let dice = crate::callers::far_along();
        let random = rig.contract.ids.delivery.random(posthaste_core::Clock::now(&*rig.clock), &dice);
        for (method, below) in [("GET", ""), ("POST", "/retry")] {
            let paths = [&random, &delivery].map(|id| format!("/deliveries/{id}{below}"));
            compared += assert_alike(&rig, method, &paths, "").await;
            rows += paths.len();
        }
        let now = posthaste_core::Clock::now(&*rig.clock);
        let paths =
            [rig.contract.ids.event.random(now, &dice), owed, event["event_id"].as_str().unwrap().into()]
                .map(|id| format!("/events/{id}"));
        compared += assert_alike(&rig, "GET", &paths, "").await;
        rows += paths.len();
        let mut accounts = vec!["umbrella", "never"];
        accounts.extend(MALFORMED);
        for (method, below, body) in OF_ACCOUNT {
            let paths: Vec<String> = accounts.iter().map(|id| format!("/accounts/{id}{below}")).collect();
            compared += assert_alike(&rig, method, &paths, body).await;
            rows += paths.len();
        }
        for (method, below, body) in BELOW_WEBHOOK {
            let paths: Vec<String> =
                accounts.iter().map(|id| format!("/accounts/{id}/webhooks/wh-theirs{below}")).collect();
            compared += assert_alike(&rig, method, &paths, body).await;
            rows += paths.len();
        }
        rig.clock.advance(Duration::from_secs(1));
        // The name may be given again; what it named before does not come back with it.
        rig.post("/accounts", r#"{"id":"umbrella"}"#).await.ok(201);
        for list in ["/keys", "/webhooks"] {
            let listed = rig.get(&format!("/accounts/umbrella{list}")).await.ok(200);
            assert_eq!(listed["data"], Value::Array(vec![]), "{contract} {list}");
        }
        let path = format!("/deliveries/{delivery}");
        assert_eq!(rig.get(&path).await.status, 404, "{contract}: {event}");
        assert!(rig.store.events_after(Seq(0), 10).await.unwrap().len() <= 2);
    }
    println!("counted | tenants | admin paths into deleted accounts | {rows}");
    println!("counted | tenants | answers about deleted accounts compared byte by byte | {compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_one_webhooks_list_shows_nothing_of_it_in_anothers() {
    let mut pages = 0;
    for contract in CONTRACTS {
        let rig = Rig::with_account(contract).await;
        rig.post("/accounts", r#"{"id":"umbrella"}"#).await.ok(201);
        for account in ["acme", "umbrella"] {
            webhook(&rig, account, &format!("wh-{account}")).await;
            webhook(&rig, account, &format!("wh-{account}-2")).await;
            let no = rig.store.account(account).await.unwrap().unwrap().no;
            let first = rig.store.webhook(no, None, &format!("wh-{account}")).await.unwrap().unwrap();
            for _ in 0..4 {
                rig.publish(&format!(
                    r#"{{"type":"{}","account":"{account}","data":{{}}}}"#,
                    event_type(&rig)
                ))
                .await;
                rig.attempted(rig.last_event().await, first.no, 1, Ended::Delivered).await;
            }
        }
        for list in ["/webhooks", "/webhooks/wh-umbrella/deliveries"] {
            let theirs = rig.get(&format!("/accounts/umbrella{list}?limit=1")).await.ok(200);
            let cursor = theirs["next"].as_str().unwrap().to_owned();
            for list in ["/webhooks", "/webhooks/wh-acme/deliveries", "/webhooks/wh-acme-2/deliveries"] {
                let own = rig.get(&format!("/accounts/acme{list}?cursor={cursor}")).await;
                assert!(!own.text.contains("umbrella"), "{contract} {list}: {own:?}");
                pages += 1;
            }
        }
    }
    println!("counted | tenants | admin lists asked for with another's place | {pages}");
}
