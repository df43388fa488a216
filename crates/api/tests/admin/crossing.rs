//! Events of a type that watches a value: what is taken, and for which webhooks they are meant.

use posthaste_core::Webhook;
use posthaste_store::{Store, WebhookLimits, WebhookPatch};
use serde_json::Value;

use crate::rig::Rig;

async fn webhook(rig: &Rig, id: &str, pattern: &str, limit: Option<&str>) -> Webhook {
    let made = rig.webhook("acme", id, &[pattern]).await;
    set_limit(rig, &made, limit).await
}

async fn set_limit(rig: &Rig, webhook: &Webhook, limit: Option<&str>) -> Webhook {
    let mut patch = WebhookPatch::default();
    patch.extension.insert("balance_low_threshold".to_owned(), limit.map(str::to_owned));
    let limits = WebhookLimits::default();
    rig.store.update_webhook(webhook.no, patch, limits, webhook.updated_at.into()).await.unwrap()
}

fn balance(asset: &str, available: &str) -> String {
    let data = format!(r#"{{"asset":"{asset}","available":{available}}}"#);
    format!(r#"{{"type":"account.balance_low","account":"acme","data":{data}}}"#)
}

/// A letter for each webhook: `p`ending, or `-` where the value did not cross.
async fn fates(rig: &Rig, event: &str) -> String {
    let shown = rig.get(&format!("/events/{event}")).await.ok(200);
    let letter = |fate: &Value| match (fate["status"].as_str().unwrap(), fate["reason"].as_str()) {
        ("pending", None) => 'p',
        ("not_sent", Some("not_crossed")) => '-',
        other => panic!("{other:?}"),
    };
    shown["webhooks"].as_array().unwrap().iter().map(letter).collect()
}

#[tokio::test]
async fn an_event_is_meant_for_the_webhooks_whose_limit_its_value_crosses() {
    let rig = Rig::with_account("pipai").await;
    webhook(&rig, "wh_0000000a", "account.balance_low", Some("0.1")).await;
    webhook(&rig, "wh_0000000b", "*", Some("0.30000000000000004")).await;
    webhook(&rig, "wh_0000000c", "account.*", Some("79228162514264337593543950336")).await;
    webhook(&rig, "wh_0000000d", "*", None).await;
    let rows = [
        ("USD", "79228162514264337593543950336", "----"),
        ("USD", "79228162514264337593543950335", "--p-"),
        ("USD", "1", "----"),
        ("USD", "0.30000000000000004", "----"),
        ("USD", "0.3", "-p--"),
        ("USD", "0.1", "----"),
        ("USD", "1e-1", "----"),
        ("USD", r#""0.1""#, "----"),
        ("USD", "0.099999999999999999999", "p---"),
        ("USD", r#""0.05""#, "----"),
        ("EUR", "0.05", "ppp-"),
        ("USD", "2", "----"),
        ("EUR", "0.04", "----"),
        ("USD", "0.01", "pp--"),
        ("USD", r#""1e999999999""#, "----"),
        ("USD", r#""-1e999999999""#, "ppp-"),
    ];
    for (row, (asset, available, expected)) in rows.iter().enumerate() {
        let id = rig.publish(&balance(asset, available)).await;
        assert_eq!(fates(&rig, &id).await, *expected, "row {row}: {asset} {available}");
    }
    println!("counted | requests | watched values published | {}", rows.len());
}

#[tokio::test]
async fn a_value_that_stays_below_fires_once_and_a_batch_counts_in_its_order() {
    let rig = Rig::with_account("pipai").await;
    let first = webhook(&rig, "wh_0000000a", "*", Some("0.1")).await;
    let values = ["0.05"; 100].into_iter().chain(["0.1"]).chain(["0.09"; 100]);
    let batch: Vec<String> = values.map(|value| balance("USD", value)).collect();
    let answer = rig.post("/events/batch", format!("[{}]", batch.join(","))).await.ok(202);
    let mut fired = Vec::new();
    for (place, event) in answer["events"].as_array().unwrap().iter().enumerate() {
        if fates(&rig, event["id"].as_str().unwrap()).await == "p" {
            fired.push(place);
        }
    }
    assert_eq!(fired, [0, 101]);
    // Only the value decides what was before, not who was there to hear of it.
    webhook(&rig, "wh_0000000b", "*", Some("0.1")).await;
    assert_eq!(fates(&rig, &rig.publish(&balance("USD", "0.08")).await).await, "--");
    set_limit(&rig, &first, Some("0.075")).await;
    assert_eq!(fates(&rig, &rig.publish(&balance("USD", "0.07")).await).await, "p-");
    // A repeat is the same event and no new value.
    let keyed = |value| balance("EUR", value).replacen('{', r#"{"id":"k","#, 1);
    let id = rig.publish(&keyed("0.01")).await;
    rig.publish(&balance("EUR", "1")).await;
    assert_eq!(rig.publish(&keyed("0.01")).await, id);
    assert_eq!(fates(&rig, &id).await, "pp");
    assert_eq!(fates(&rig, &rig.publish(&balance("EUR", "0.02")).await).await, "pp", "it came from 1");
}

#[tokio::test]
async fn a_watched_value_that_is_missing_or_no_number_is_refused_by_its_name() {
    let rig = Rig::with_account("pipai").await;
    let mut rows = 0;
    for (data, expected) in [
        (r#"{"asset":"USD"}"#, "/data/available"),
        (r#"{"asset":"USD","available":null}"#, "/data/available"),
        (r#"{"asset":"USD","available":true}"#, "/data/available"),
        (r#"{"asset":"USD","available":"low"}"#, "/data/available"),
        (r#"{"asset":"USD","available":"1,5"}"#, "/data/available"),
        (r#"{"asset":"USD","available":"NaN"}"#, "/data/available"),
        (r#"{"asset":"USD","available":""}"#, "/data/available"),
        (r#"{"asset":"USD","available":[1]}"#, "/data/available"),
        (r#"{"asset":"USD","available":1e99999999999999999999}"#, "/data/available"),
        (r#"{"available":1}"#, "/data/asset"),
        (r#"{"asset":{},"available":1}"#, "/data/asset"),
        ("{}", "/data/available"),
        ("[]", "/data"),
    ] {
        let event = format!(r#"{{"type":"account.balance_low","account":"acme","data":{data}}}"#);
        let answer = rig.post("/events", event.clone()).await;
        assert_eq!(
            (answer.told().as_str(), answer.pointers()),
            ("422 invalid", vec![expected.to_owned()]),
            "{data}"
        );
        let batch = rig.post("/events/batch", format!("[{event}]")).await.ok(202);
        assert_eq!(batch["events"][0]["error"]["errors"][0]["pointer"], expected, "{data}");
        rows += 1;
    }
    let detail = rig.post("/events", balance("USD", "null")).await.json()["errors"][0]["detail"].to_string();
    assert!(detail.contains("data.available"), "{detail}");
    rig.publish(r#"{"type":"strategy.error","account":"acme","data":{}}"#).await;
    println!("counted | requests | watched values refused | {rows}");
}
