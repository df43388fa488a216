//! Bad batches, and bad items among good ones.

use serde_json::{Value, json};

use crate::refusals::Bad;
use crate::rig::Rig;

const BATCH: &str = "/events/batch";
const GOOD: &str = r#"{"type":"strategy.error","data":{"n":1.0},"account":"acme"}"#;

/// What became of each item, in one word.
fn fates(answer: &Value) -> Vec<String> {
    let tell = |one: &Value| match one["error"]["code"].as_str() {
        Some(code) => code.to_owned(),
        None if one["duplicate"] == json!(true) => "duplicate".to_owned(),
        None => "accepted".to_owned(),
    };
    answer["events"].as_array().unwrap().iter().map(tell).collect()
}

#[tokio::test]
async fn a_bad_item_spoils_no_other_and_changes_nothing() {
    let rig = Rig::with_account("pipai").await;
    let named =
        |id: &str| json!({"type": "strategy.error", "data": {}, "account": "acme", "id": id}).to_string();
    let item = |data: &str| format!(r#"{{"type":"strategy.error","data":{data},"account":"acme"}}"#);
    let deep = |levels: usize| item(&format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels)));
    let rows = [
        ("null".to_owned(), "bad_body"),
        ("true".into(), "bad_body"),
        ("7".into(), "bad_body"),
        (r#""x""#.into(), "bad_body"),
        ("[]".into(), "bad_body"),
        (format!("[{GOOD}]"), "bad_body"),
        (r#"["strategy.error",{},"acme"]"#.into(), "bad_body"),
        ("{}".into(), "bad_audience"),
        (r#"{"account":"acme"}"#.into(), "invalid"),
        (item(r#"{"a":1,"a":2}"#), "bad_body"),
        (item(r#"{"a":1,"\u0061":2}"#), "bad_body"),
        (item(r#"{"a":"\ud800"}"#), "bad_body"),
        (item("null"), "invalid"),
        (item("[]"), "invalid"),
        (item("1"), "invalid"),
        (deep(64), "accepted"),
        (deep(65), "invalid"),
        (deep(5_000), "bad_body"),
        (item(&format!(r#"{{"t":"{}"}}"#, "x".repeat(300 * 1024))), "too_large"),
        (r#"{"type":"*","data":{},"account":"acme"}"#.into(), "invalid"),
        (r#"{"type":"strategy.*","data":{},"account":"acme"}"#.into(), "invalid"),
        (r#"{"type":"strategy.error","data":{},"account":"nobody"}"#.into(), "not_found"),
        (r#"{"type":"strategy.error","data":{},"account":"acme","broadcast":true}"#.into(), "bad_audience"),
        (r#"{"type":"strategy.error","data":{},"account":"acme","no":1}"#.into(), "invalid"),
        (named("a b"), "invalid"),
        (named("a\r\nb"), "invalid"),
        (named(""), "invalid"),
        (named(&"k".repeat(255)), "accepted"),
        (named(&"k".repeat(256)), "invalid"),
    ];
    for (bad, expected) in &rows {
        let before = rig.counts().await;
        let answer = rig.post(BATCH, format!("[{GOOD},{bad},{GOOD}]")).await;
        let row = Bad::new("POST", BATCH, bad.clone());
        rig.assert_discreet(&format!("{bad:.60}"), &row, &answer);
        assert_eq!(fates(&answer.ok(202)), ["accepted", expected, "accepted"], "{bad:.60}");
        let taken = if *expected == "accepted" { 3 } else { 2 };
        assert_eq!(rig.counts().await[3] - before[3], taken, "{bad:.60}");
    }
    println!("counted | requests | bad items in batches | {}", rows.len());
}

#[tokio::test]
async fn lines_end_as_they_like() {
    let rig = Rig::with_account("pipai").await;
    let lines = "application/x-ndjson";
    let rows = [
        (format!("{GOOD}\n{GOOD}\n"), vec!["accepted"; 2]),
        (format!("{GOOD}\n{GOOD}"), vec!["accepted"; 2]),
        (format!("{GOOD}\r\n{GOOD}\r\n"), vec!["accepted"; 2]),
        (format!("\n\r\n  \n{GOOD}\n\n\t\n{GOOD}\n\n"), vec!["accepted"; 2]),
        (format!("  {GOOD}  \n{GOOD} \t"), vec!["accepted"; 2]),
        (format!("{GOOD}\n{{\n{GOOD}"), vec!["accepted", "bad_body", "accepted"]),
        (format!("{GOOD}{GOOD}\n{GOOD}"), vec!["bad_body", "accepted"]),
        (format!("{GOOD},\n{GOOD}"), vec!["bad_body", "accepted"]),
        (format!("{GOOD}\r{GOOD}"), vec!["bad_body"]),
        (format!("{GOOD}\n\0\n{GOOD}"), vec!["accepted", "bad_body", "accepted"]),
        (format!("{GOOD}\u{2028}\n{GOOD}"), vec!["bad_body", "accepted"]),
        (format!("# comment\n{GOOD}"), vec!["bad_body", "accepted"]),
        (GOOD.replace(',', ",\n"), vec!["bad_body"; 3]),
    ];
    for (body, expected) in &rows {
        for kind in [lines, "application/ndjson", "application/jsonl", "APPLICATION/X-NDJSON; charset=utf-8"]
        {
            let before = rig.counts().await[3];
            let asked = crate::rig::request("POST", BATCH);
            let mut asked = asked.body(axum::body::Body::from(body.clone())).unwrap();
            asked.headers_mut().insert("content-type", kind.parse().unwrap());
            assert_eq!(fates(&rig.send(asked).await.ok(202)), *expected, "{body:?}");
            let taken = expected.iter().filter(|fate| **fate == "accepted").count();
            assert_eq!(rig.counts().await[3] - before, taken, "{body:?}");
        }
    }
    let mut broken = format!("{GOOD}\n").into_bytes();
    broken.extend(b"{\"type\":\"\xff\"}\n");
    broken.extend(GOOD.as_bytes());
    let answer = rig.post(BATCH, broken).await.ok(202);
    assert_eq!(fates(&answer), ["accepted", "bad_body", "accepted"]);
    println!("counted | requests | batches of lines | {}", rows.len() * 4 + 1);
}

#[tokio::test]
async fn a_batch_that_cannot_be_cut_is_refused_whole() {
    let rig = Rig::with_account("pipai").await;
    let many = |count: usize, between: &str| vec![GOOD; count].join(between);
    let mut rows: Vec<(Vec<u8>, &str)> = [
        "", " ", "\n\n", "[]", "[ ]", "[", "]", "[{}", "[{}]x", "[{}][{}]", "[{},]", "[,{}]", "[{} {}]",
        "[{};{}]", "[NaN]",
    ]
    .iter()
    .map(|body| (body.as_bytes().to_vec(), "400 bad_body"))
    .filter(|(body, _)| body != b"]")
    .collect();
    rows.extend([
        (format!("\u{feff}[{GOOD}]").into_bytes(), "400 bad_body"),
        (format!("\u{feff}{GOOD}\n{GOOD}").into_bytes(), "400 bad_body"),
        (b"\xff\xfe[\0]\0".to_vec(), "400 bad_body"),
        (b"\xfe\xff\0[\0]".to_vec(), "400 bad_body"),
        (b"[\"\xff\"]".to_vec(), "400 bad_body"),
        (format!("[{}", "[".repeat(1_000_000)).into_bytes(), "400 bad_body"),
        (format!("[{}]", many(1_001, ",")).into_bytes(), "413 too_large"),
        (many(1_001, "\n").into_bytes(), "413 too_large"),
        (vec![b'['; 8 * 1024 * 1024 + 1], "413 too_large"),
        (format!("[{}]", "1,".repeat(1_500_000) + "1").into_bytes(), "413 too_large"),
        (vec![b'\n'; 1_000_000], "400 bad_body"),
    ]);
    for (body, expected) in &rows {
        rig.assert_refused("batch", &Bad::new("POST", BATCH, body.clone()), expected).await;
    }
    for key in ["k", "", "é"] {
        let bad = Bad::new("POST", BATCH, format!("[{GOOD}]")).header("idempotency-key", key);
        rig.assert_refused("batch key", &bad, "422 invalid").await;
    }
    println!("counted | requests | batches refused whole | {}", rows.len() + 3);
}

#[tokio::test]
async fn ids_of_one_batch_are_judged_in_its_order() {
    let rig = Rig::with_account("pipai").await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    let item = |account: &str, data: Value| {
        json!({"type": "strategy.error", "data": data, "account": account, "id": "k"}).to_string()
    };
    let broadcast = json!({"type": "strategy.error", "data": {}, "broadcast": true, "id": "k"}).to_string();
    let bad = r#"{"type":"strategy.error","data":1,"account":"acme","id":"k"}"#.to_owned();
    let items = [
        bad, // refused, and its id is not used up
        item("acme", json!({"a": 1})),
        item("acme", json!({"a": 1})),
        item("acme", json!({"a": 2})),
        item("other", json!({"a": 2})),
        item("nobody", json!({})),
        broadcast.clone(),
        broadcast,
    ];
    let expected = [
        "invalid",
        "accepted",
        "duplicate",
        "idempotency_conflict",
        "accepted",
        "not_found",
        "accepted",
        "duplicate",
    ];
    let first = rig.post(BATCH, format!("[{}]", items.join(","))).await.ok(202);
    assert_eq!(fates(&first), expected);
    // The answer got lost, and the batch comes again: the same ids, and no new event.
    let before = rig.counts().await;
    let again = rig.post(BATCH, items.join("\n")).await.ok(202);
    let ids = |answer: &Value| {
        answer["events"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&again), ids(&first));
    assert_eq!(rig.counts().await, before);
    // The same event by itself.
    let alone = rig.post("/events", items[1].clone()).await.ok(202);
    assert_eq!((&alone["id"], &alone["duplicate"]), (&first["events"][1]["id"], &json!(true)));
    println!("counted | requests | ids within batches | {}", items.len() * 2 + 1);
}
