//! Bad events one by one, and what their ids are good for.

use tokio::time::Instant;

use axum::body::Body;
use posthaste_store::Store;
use serde_json::{Value, json};

use crate::refusals::Bad;
use crate::rig::{Rig, request};

const EVENTS: &str = "/events";

fn event(data: &str) -> String {
    format!(r#"{{"type":"strategy.error","data":{data},"account":"acme"}}"#)
}

#[tokio::test]
async fn members_break_their_rules_one_by_one() {
    let rig = Rig::with_account("pipai").await;
    let good = json!({"type": "strategy.error", "data": {}, "account": "acme"});
    let long = "x".repeat(10_000);
    let mut rows = 0;
    for (member, values) in [
        (
            "type",
            vec![
                json!(null),
                json!(1),
                json!([]),
                json!({}),
                json!(""),
                json!(" "),
                json!("x".repeat(300)),
                json!(long),
            ],
        ),
        (
            "type",
            vec![
                json!("*"),
                json!("strategy.*"),
                json!("strategy"),
                json!("STRATEGY.ERROR"),
                json!("strategy.error "),
            ],
        ),
        (
            "type",
            vec![
                json!("strategy.error\r\nX: 1"),
                json!("strategy.error\0"),
                json!("webhook.test"),
                json!("' OR 1=1 --"),
            ],
        ),
        ("data", vec![json!(null), json!(1), json!(true), json!("{}"), json!([]), json!([{}]), json!(long)]),
        ("account", vec![json!(1), json!(true), json!([]), json!({}), json!(["acme"])]),
        ("broadcast", vec![json!(1), json!("true"), json!([]), json!({})]),
        (
            "send_at",
            vec![
                json!(0),
                json!(""),
                json!("soon"),
                json!("2026-09-21"),
                json!("2026-09-21T00:00:00"),
                json!(long),
            ],
        ),
        (
            "send_at",
            vec![
                json!("2026-02-30T00:00:00Z"),
                json!("2026-09-21T24:00:00Z"),
                json!("9999-12-31T23:59:59Z"),
                json!(true),
            ],
        ),
        (
            "id",
            vec![
                json!(1),
                json!([]),
                json!(""),
                json!(" "),
                json!("a b"),
                json!("a\tb"),
                json!("a\r\nb"),
                json!("a\0"),
            ],
        ),
        (
            "id",
            vec![
                json!("é"),
                json!("\u{7f}"),
                json!("\u{202e}"),
                json!("x".repeat(256)),
                json!(long),
                json!(false),
            ],
        ),
        ("seq", vec![json!(1)]),
        ("Type", vec![json!("strategy.error")]),
        ("__proto__", vec![json!({}), json!(null)]),
        (long.as_str(), vec![json!(1)]),
    ] {
        for value in values {
            let mut body = good.clone();
            body[member] = value;
            let answer = rig
                .assert_refused("I2 I4 I5 I22", &Bad::new("POST", EVENTS, body.to_string()), "422 invalid")
                .await;
            let shown: String = member.chars().take(64).collect();
            assert_eq!(answer.pointers(), [format!("/{shown}")], "{:.90}", body.to_string());
            rows += 1;
        }
    }
    println!("counted | requests | members of published events against the rules | {rows}");
}

#[tokio::test]
async fn depth_and_size_cost_little_and_change_nothing() {
    let rig = Rig::with_account("pipai").await;
    let began = Instant::now();
    let nested = |levels: usize| event(&format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels)));
    let wide = |count: usize| {
        format!("{{{}}}", (0..count).map(|n| format!(r#""{n}":0"#)).collect::<Vec<_>>().join(","))
    };
    let rows = [
        ("I10", nested(65), "422 invalid"),
        ("I10", event(&format!(r#"{{"a":{}{}}}"#, "[".repeat(64), "]".repeat(64))), "422 invalid"),
        ("I11", nested(30_000), "400 bad_body"),
        ("I11", event(&"[".repeat(100_000)), "400 bad_body"),
        ("I11", event(&format!(r#"{{"a":{}"#, r#"[{"b":"#.repeat(40_000))), "400 bad_body"),
        ("B16", r#"{"id":"#.repeat(43_000), "400 bad_body"),
        ("B20", wide(20_000), "400 bad_audience"),
        ("A52", event(&format!(r#"{{"a":"{}"}}"#, "x".repeat(256 * 1024))), "413 too_large"),
        ("B19", " ".repeat(256 * 1024) + &event("{}"), "413 too_large"),
    ];
    for (row, body, expected) in &rows {
        rig.assert_refused(row, &Bad::new("POST", EVENTS, body.clone()), expected).await;
    }
    rig.post(EVENTS, nested(64)).await.ok(202);
    rig.post(EVENTS, event(&wide(20_000))).await.ok(202);
    // A bound against quadratic work, not a measurement.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    println!("counted | requests | deep and large events | {}", rows.len() + 2);
}

#[tokio::test]
async fn a_flat_envelope_has_no_member_twice() {
    let rig = Rig::with_account("aira").await;
    let body = |data: &str| format!(r#"{{"type":"case.complete","data":{data},"account":"acme"}}"#);
    let refused = [
        r#"{"event":"x"}"#,
        r#"{"timestamp":null}"#,
        r#"{"a":1,"event":{}}"#,
        r#"{"\u0065vent":1}"#,
        r#"{"time\u0073tamp":1}"#,
        r#"{ "event" : 1 }"#,
        r#"{"event":1,"timestamp":2}"#,
    ];
    for data in refused {
        let answer = rig.assert_refused("I20", &Bad::new("POST", EVENTS, body(data)), "422 invalid").await;
        assert_eq!(answer.pointers(), ["/data"], "{data}");
    }
    let taken = [
        r#"{"Event":1}"#,
        r#"{"event ":1}"#,
        r#"{"inner":{"event":1,"timestamp":2}}"#,
        r#"{"list":[{"event":1}]}"#,
        "{}",
        "{ }",
    ];
    for data in taken {
        rig.post(EVENTS, body(data)).await.ok(202);
        let stored = rig.store.event(rig.last_event().await).await.unwrap().unwrap();
        let members: Vec<String> = top_members(&stored.body.bytes);
        let mut once = members.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), members.len(), "{data}: {members:?}");
    }
    println!("counted | requests | data against a flat envelope | {}", refused.len() + taken.len());
}

/// The names of a JSON object's members, repeated ones as often as they come.
fn top_members(bytes: &[u8]) -> Vec<String> {
    let members = posthaste_contract::json::members(bytes, 70).unwrap();
    members.into_iter().map(|(name, _)| name.into_owned()).collect()
}

#[tokio::test]
async fn an_own_id_names_one_event_of_one_audience() {
    let rig = Rig::with_account("pipai").await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    let ask = |audience: Value, data: &str, id: &str| {
        let mut body = json!({"type": "strategy.error", "id": id});
        body.as_object_mut().unwrap().extend(audience.as_object().unwrap().clone());
        let text = body.to_string();
        format!("{},\"data\":{data}}}", &text[..text.len() - 1])
    };
    let (acme, other, all) =
        (json!({"account": "acme"}), json!({"account": "other"}), json!({"broadcast": true}));
    let ids =
        ["1", "a.b", "order/1", "'OR1=1--", "%s%n", "../../x", "-", &"k".repeat(255), "evt_000000000000"];
    for id in ids {
        let mut seen = Vec::new();
        for audience in [&acme, &other, &all] {
            let first = rig.post(EVENTS, ask(audience.clone(), "{}", id)).await.ok(202);
            assert_eq!(first["duplicate"], json!(false), "I64 {id}");
            let again = rig.post(EVENTS, ask(audience.clone(), "{}", id)).await.ok(202);
            assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)), "I22 {id}");
            for data in ["{ }", r#"{"a":1}"#] {
                let bad = Bad::new("POST", EVENTS, ask(audience.clone(), data, id));
                rig.assert_refused("I61 I62", &bad, "409 idempotency_conflict").await;
            }
            let public = first["id"].as_str().unwrap().to_owned();
            // What is signed is an id of ours: it has no dot that could move the parts of what is signed.
            assert!(public.starts_with("evt_") && !public.contains('.') && public.len() < 40, "T65 {public}");
            seen.push(public);
        }
        seen.dedup();
        assert_eq!(seen.len(), 3, "{id}");
    }
    println!("counted | requests | own ids of events | {}", ids.len() * 3 * 4);
}

#[tokio::test]
async fn a_key_in_the_header_keeps_its_rules_and_is_not_burned() {
    let rig = Rig::with_account("pipai").await;
    let long = "k".repeat(256);
    let mut rows = 0;
    for key in [&b""[..], b" ", b"a b", b"a\tb", b"\xc3\xa9", b"\xff", long.as_bytes()] {
        let bad = Bad::new("POST", EVENTS, event("{}")).header("idempotency-key", key);
        let answer = rig.assert_refused("I65", &bad, "422 invalid").await;
        assert_eq!(answer.pointers(), ["Idempotency-Key"], "{key:?}");
        rows += 1;
    }
    for (n, (body, expected)) in [
        (event("1"), "422 invalid"),
        (event("{"), "400 bad_body"),
        (r#"{"type":"strategy.error","data":{}}"#.to_owned(), "400 bad_audience"),
        (r#"{"type":"strategy.error","data":{},"account":"nobody"}"#.to_owned(), "404 not_found"),
        (event(&format!(r#"{{"a":"{}"}}"#, "x".repeat(300_000))), "413 too_large"),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("not-burned-{n}");
        let bad = Bad::new("POST", EVENTS, body).header("idempotency-key", key.clone());
        rig.assert_refused("I67", &bad, expected).await;
        let asked = request("POST", EVENTS).header("idempotency-key", key);
        let answer = rig.send(asked.body(Body::from(event("{}"))).unwrap()).await.ok(202);
        assert_eq!(answer["duplicate"], json!(false));
        rows += 1;
    }
    println!("counted | requests | keys of events in the header | {rows}");
}

#[tokio::test]
async fn an_event_for_nobody_is_accepted_and_says_so() {
    let rig = Rig::with_account("pipai").await;
    let id = rig.publish(&event("{}")).await;
    let shown = rig.get(&format!("/events/{id}")).await.ok(200);
    assert_eq!(shown["webhooks"], json!([]), "I8");
}
