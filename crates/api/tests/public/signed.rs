//! Signed requests: what is signed, when, and how often.

use posthaste_contract::model::Scheme;
use posthaste_contract::{Condition, Op};

use crate::rig::{Ask, Rig, exchange};

const MINUTE_MS: i64 = 60_000;

fn sound(rig: &Rig) -> Ask {
    rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"))
}

fn unsigned(rig: &Rig) -> Ask {
    let body = rig.new_webhook("https://hooks.example.com/a").to_string();
    Ask::new("POST", "/v1/webhooks").header("Content-Type", "application/json").body(body)
}

fn headers(rig: &Rig) -> [String; 3] {
    match &rig.contract.auth[0].scheme {
        Scheme::HmacRequest(rule) => {
            [&rule.key_header, &rule.timestamp_header, &rule.signature_header].map(String::clone)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_part_of_the_credential_is_needed() {
    let rig = Rig::start("pipai").await;
    let [key, timestamp, signature] = headers(&rig);
    for header in [&key, &timestamp, &signature] {
        rig.assert_refused("A20", &sound(&rig).without(header), Condition::AuthMissing).await;
    }
    let ask = sound(&rig);
    let right = ask.headers.iter().find(|(name, _)| *name == signature).unwrap().1.clone();
    for wrong in [&right[..63], &right[..62], &right[..1], "", &format!("{right}0")] {
        let ask = ask.clone().without(&signature).header(&signature, wrong);
        rig.assert_refused("A22", &ask, Condition::AuthInvalid).await;
    }
    let other = rig.key_of(&rig.other_account("umbrella").await).await;
    let foreign = crate::rig::Holder { signing_secret: other.signing_secret, ..rig.holder.clone() };
    rig.assert_refused("A31", &rig.signed_by(&foreign, unsigned(&rig)), Condition::AuthInvalid).await;
    rig.tell("A20-A31 signatures");
}

#[tokio::test]
async fn the_signature_covers_method_path_and_body() {
    let rig = Rig::start("pipai").await;
    let signed = sound(&rig);
    let other_body = rig.new_webhook("https://hooks.example.com/b").to_string();
    rig.assert_refused("A23 body", &signed.clone().body(other_body), Condition::AuthInvalid).await;
    let list = rig.ask(&rig.holder, Op::WebhookList, &[], "?limit=1&cursor=", None);
    let mut swapped = rig.ask(&rig.holder, Op::WebhookList, &[], "", None);
    swapped.target = "/v1/webhooks/wh_00000000".into();
    swapped.method = "DELETE".into();
    rig.assert_refused("A23 path and method", &swapped, Condition::AuthInvalid).await;
    rig.assert_taken("with its query", &list).await;
    rig.tell("A23 what is signed");
}

#[tokio::test]
async fn the_time_must_be_near() {
    let rig = Rig::start("pipai").await;
    let list = || Ask::new("GET", "/v1/webhooks");
    for (row, shift_ms, expected) in [
        ("A25 old", -5 * MINUTE_MS - 1000, Some(Condition::AuthSkew)),
        ("A25 ahead", 5 * MINUTE_MS + 1000, Some(Condition::AuthSkew)),
        ("A26 old", -5 * MINUTE_MS + 1000, None),
        ("A26 ahead", 5 * MINUTE_MS - 1000, None),
    ] {
        let ask = rig.signed_at(&rig.holder, list(), &rig.shifted(shift_ms).0.to_string());
        match expected {
            Some(condition) => drop(rig.assert_refused(row, &ask, condition).await),
            None => drop(rig.assert_taken(row, &ask).await),
        }
    }
    let now = rig.clock.time().0;
    rig.assert_taken("A28 s", &rig.signed_at(&rig.holder, list(), &(now / 1000).to_string())).await;
    for text in [(now * 1000).to_string(), String::new(), "now".into(), format!("{now}.0"), format!("+{now}")]
    {
        let ask = rig.signed_at(&rig.holder, list(), &text);
        rig.assert_refused("A28 other", &ask, Condition::AuthSkew).await;
    }
    rig.tell("A25-A28 times");
}

#[tokio::test]
async fn a_signed_write_is_obeyed_once() {
    let rig = Rig::start("pipai").await;
    let ask = sound(&rig);
    let created = rig.assert_taken("first", &ask).await;
    rig.assert_refused("A29", &ask, Condition::AuthReplay).await;
    let [_, _, signature] = headers(&rig);
    let upper = ask.headers.iter().find(|(name, _)| *name == signature).unwrap().1.to_ascii_uppercase();
    let shouted = rig.send(&ask.clone().without(&signature).header(&signature, &upper)).await;
    assert_eq!(shouted.status, 401, "another spelling of the signature is no other signature: {shouted:?}");
    assert_eq!(rig.webhooks().await, 1);

    let id = crate::registration::id_of(&created);
    let delete = rig.ask(&rig.holder, Op::WebhookDelete, &[&id], "", None);
    rig.assert_taken("delete", &delete).await;
    rig.assert_refused("the first again, after the deletion", &ask, Condition::AuthReplay).await;
    let list = rig.ask(&rig.holder, Op::WebhookList, &[], "", None);
    rig.assert_taken("reads", &list).await;
    rig.assert_taken("may be repeated", &list).await;
    rig.tell("A29 replays");
}

#[tokio::test]
async fn a_refused_write_may_be_sent_again() {
    let rig = Rig::start("pipai").await;
    let url = "https://hooks.example.com/a";
    let first = rig.assert_taken("first", &rig.create(&rig.holder, &rig.new_webhook(url))).await;
    rig.clock.advance(std::time::Duration::from_millis(1));
    let invalid = rig.create(&rig.holder, &serde_json::json!({ "url": url, "events": [] }));
    rig.assert_refused("invalid", &invalid, Condition::Invalid).await;
    let id = crate::registration::id_of(&first);
    rig.assert_taken("delete", &rig.ask(&rig.holder, Op::WebhookDelete, &[&id], "", None)).await;
}

#[tokio::test]
async fn a_chunked_body_is_signed_as_what_it_says() {
    let rig = Rig::start("pipai").await;
    let ask = sound(&rig);
    let body = ask.body.clone().unwrap();
    let mut plain = ask.clone();
    plain.body = None;
    let head = String::from_utf8(plain.bytes()).unwrap();
    let head = head.trim_end_matches("\r\n").to_owned() + "\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (front, back) = body.split_at(10);
    let mut bytes = head.into_bytes();
    for chunk in [front, back, b""] {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    let reply = exchange(rig.address, &bytes).await;
    assert_eq!(reply.status, 201, "A32: {reply:?}");
}

#[tokio::test]
async fn many_copies_of_one_signed_write_make_one_webhook() {
    let rig = Rig::start("pipai").await;
    let bytes = sound(&rig).bytes();
    let tries = (0..16).map(|_| {
        let (bytes, address) = (bytes.clone(), rig.address);
        tokio::spawn(async move { exchange(address, &bytes).await.status })
    });
    let mut statuses = Vec::new();
    for attempt in tries.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(rig.webhooks().await, 1);
}
