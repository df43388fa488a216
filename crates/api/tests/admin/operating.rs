//! What an operator may ask for, and how far.

use std::time::Duration;

use serde_json::json;

use crate::refusals::Bad;
use crate::rig::{Ended, NO_CONTENT, Rig};

const EVENT: &str = r#"{"type":"strategy.error","data":{},"account":"acme"}"#;

#[tokio::test]
async fn former_secrets_are_few_and_the_oldest_goes_first() {
    let rig = Rig::with_account("pipai").await;
    let webhook = rig.webhook("acme", "wh_1", &[]).await;
    let kept = rig.contract.rotation.keys;
    let (mut made, mut dropped) = (vec![webhook.secrets.current.expose_text().to_owned()], 0);
    for turn in 1..=kept + 3 {
        rig.clock.advance(Duration::from_secs(1));
        let path = "/accounts/acme/webhooks/wh_1/rotate-secret";
        let answer = rig.post(path, r#"{"overlap_seconds":604800}"#).await.ok(200);
        made.push(answer["secret"].as_str().unwrap().to_owned());
        dropped += answer["dropped_secrets"].as_u64().unwrap();
        let now = posthaste_store::Store::roster(&*rig.store).get(webhook.no).unwrap();
        let former: Vec<&str> = now.secrets.previous.iter().map(|(secret, _)| secret.expose_text()).collect();
        assert_eq!(former.len(), answer["previous_secrets_until"].as_array().unwrap().len(), "AD7 {turn}");
        // Those still there are the latest of all that were made.
        let mut latest: Vec<&str> =
            made[..made.len() - 1].iter().rev().map(String::as_str).take(former.len()).collect();
        let mut found = former.clone();
        latest.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, latest, "AD7 {turn}");
        assert_eq!(former.len() as u64 + dropped, turn as u64, "AD7: what was dropped is said");
    }
    assert!(dropped > 0, "AD7");
    println!("counted | admin | rotations within an overlap | {}", kept + 3);
}

#[tokio::test]
async fn what_is_gone_or_not_there_is_neither_retried_nor_recovered() {
    let rig = Rig::with_account("pipai").await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    let webhook = rig.webhook("acme", "wh_1", &["*"]).await;
    rig.webhook("other", "wh_2", &["*"]).await;
    let event = rig.publish(EVENT).await;
    let shown = rig.get(&format!("/events/{event}")).await.ok(200);
    let delivery = shown["webhooks"][0]["delivery_id"].as_str().unwrap().to_owned();
    rig.attempted(rig.last_event().await, webhook.no, 1, Ended::GivenUp).await;
    let recover = |account: &str, id: &str| format!("/accounts/{account}/webhooks/{id}/recover");
    let body =
        |since: &str, until: &str| json!({"since": since, "until": until, "dry_run": true}).to_string();
    let long = body("2016-09-21T00:00:00Z", "2026-09-22T00:00:00Z");
    let rows = [
        (Bad::new("POST", recover("acme", "wh_2"), long.clone()), "404 not_found"),
        (Bad::new("POST", recover("other", "wh_1"), long.clone()), "404 not_found"),
        (Bad::new("POST", recover("nobody", "wh_1"), long.clone()), "404 not_found"),
        (
            Bad::new("POST", recover("acme", "wh_1"), body("2026-09-22T00:00:00Z", "2016-09-21T00:00:00Z")),
            "422 invalid",
        ),
        (Bad::new("POST", format!("/deliveries/{delivery}0/retry"), ""), "404 not_found"),
        (Bad::new("POST", format!("/deliveries/{}/retry", delivery.to_uppercase()), ""), "404 not_found"),
        (Bad::new("POST", format!("/deliveries/{event}/retry"), ""), "404 not_found"),
    ];
    for (bad, expected) in &rows {
        rig.assert_refused("AD10", bad, expected).await;
    }
    let counted = rig.post(&recover("acme", "wh_1"), long).await.ok(200);
    assert_eq!((&counted["count"], &counted["capped"]), (&json!(1), &json!(false)), "AD10: ten years");
    assert_eq!(rig.call("DELETE", "/accounts/acme", "").await.status, NO_CONTENT);
    let gone = [
        Bad::new("POST", format!("/deliveries/{delivery}/retry"), ""),
        Bad::new("GET", format!("/deliveries/{delivery}"), ""),
        Bad::new("POST", "/accounts/acme/keys", "{}"),
        Bad::new("POST", "/accounts/acme/webhooks/wh_1/resume", ""),
        Bad::new("POST", "/events", EVENT),
        Bad::new("GET", "/accounts/acme/keys", ""),
    ];
    for bad in &gone {
        assert_eq!(rig.send(bad.build()).await.told(), "404 not_found", "AD4 AD13: {}", bad.path);
    }
    println!("counted | admin | things gone or not there | {}", rows.len() + gone.len() + 1);
}
