//! Publishing one event.

use axum::body::Body;
use posthaste_api::admin::BodyLimits;
use posthaste_core::{Seq, UnixMs};
use posthaste_store::Store;
use serde_json::json;

use crate::rig::{Rig, request};

const TYPE: &str = "strategy.error";

fn event(data: &str) -> String {
    format!(r#"{{"type":"{TYPE}","data":{data},"account":"acme"}}"#)
}

#[tokio::test]
async fn an_event_is_accepted_for_an_account_or_for_all() {
    let rig = Rig::with_account("pipai").await;
    let answer = rig.post("/events", event("{}")).await.ok(202);
    assert_eq!(
        answer,
        json!({"id": answer["id"], "type": TYPE, "created_at": "2026-09-21T14:13:20.000Z", "duplicate": false})
    );
    let shown = rig.get(&format!("/events/{}", answer["id"].as_str().unwrap())).await.ok(200);
    assert_eq!(
        (&shown["account"], &shown["broadcast"], &shown["data"]),
        (&json!("acme"), &json!(false), &json!({}))
    );
    let body = format!(r#"{{"type":"{TYPE}","data":{{"a":1}},"broadcast":true}}"#);
    let shown = rig.get(&format!("/events/{}", rig.publish(&body).await)).await.ok(200);
    assert_eq!((&shown["account"], &shown["broadcast"]), (&json!(null), &json!(true)));
}

#[tokio::test]
async fn the_data_survives_byte_for_byte() {
    let rig = Rig::with_account("pipai").await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(64), "}".repeat(64));
    for data in [
        "{}",
        "{ }",
        r#"{"n":1e400,"big":123456789012345678901234567890,"zero":-0,"one":1.0,"E":1E+2}"#,
        r#"{"z":1,"a":2,"\u00e9":"\/ \u00e9 \ud83e\udd80","s":"\u0000\u001b"}"#,
        "{\"html\":\"</script>\u{2028}\u{202e}\u{7f}\"  ,\n\t\"b\" :  [ 1 , 2 ] }",
        r#"{"__proto__":{},"constructor":1,"$ne":"' OR 1=1 --","%s%n":""}"#,
        &deep,
    ] {
        let id = rig.publish(&event(data)).await;
        let last = rig.last_event().await;
        let stored = rig.store.event(last).await.unwrap().unwrap();
        assert_eq!(stored.body.data_json(), data);
        assert!(String::from_utf8_lossy(&stored.body.bytes).contains(data));
        let shown = rig.get(&format!("/events/{id}")).await;
        assert!(shown.text.contains(&format!(r#""data":{data},"#)), "{}", shown.text);
    }
}

#[tokio::test]
async fn what_is_no_sound_object_is_refused() {
    let rig = Rig::with_account("pipai").await;
    let (deep, array) = ("[".repeat(100_000), format!(r#"["{TYPE}",{{}},"acme"]"#));
    for body in [
        "",
        "{",
        "{} {}",
        "null",
        "true",
        "1",
        "\"x\"",
        "[]",
        &array,
        &event("{\"a\":1,\"a\":2}"),
        &event(r#"{"a":{"b":1,"\u0062":2}}"#),
        &event(r#"{"a":"\ud800"}"#),
        &event(r#"{"\udc00":1}"#),
        &event("{\"a\":NaN}"),
        &event("{\"a\":01}"),
        &event("{\"a\":.5}"),
        &event("{\"a\":\"\n\"}"),
        &event(&deep),
        &format!("{}\0", event("{}")),
    ] {
        assert_eq!(rig.post("/events", body.to_owned()).await.told(), "400 bad_body", "{:.60}", body);
    }
    let invalid_utf8 = [event("").as_bytes(), b"{\"a\":\"\xed\xa0\x80\"}"].concat();
    assert_eq!(rig.post("/events", invalid_utf8).await.told(), "400 bad_body");
    assert!(rig.store.events_after(Seq(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn members_keep_their_rules() {
    let rig = Rig::with_account("pipai").await;
    let good = json!({"type": TYPE, "data": {}, "account": "acme"});
    let long = "x".repeat(300);
    for (member, value) in [
        ("type", json!(null)),
        ("type", json!(1)),
        ("type", json!("")),
        ("type", json!(long)),
        ("type", json!("nothing.known")),
        ("type", json!("*")),
        ("type", json!("strategy.*")),
        ("type", json!("webhook.test")),
        ("data", json!(null)),
        ("data", json!(1)),
        ("data", json!("{}")),
        ("data", json!([])),
        ("account", json!(1)),
        ("broadcast", json!("yes")),
        ("send_at", json!("soon")),
        ("send_at", json!(1)),
        ("send_at", json!("2026-09-21")),
        ("send_at", json!("2027-09-23T00:00:00Z")),
        ("ordering_key", json!("")),
        ("ordering_key", json!("x".repeat(129))),
        ("ordering_key", json!("a b")),
        ("ordering_key", json!("é")),
        ("ordering_key", json!(7)),
        ("ordering_key", json!(["a"])),
        ("id", json!("")),
        ("id", json!("x".repeat(256))),
        ("id", json!("a b")),
        ("id", json!("a\r\nb")),
        ("id", json!("é")),
        ("id", json!(7)),
        ("unknown", json!(1)),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let answer = rig.post("/events", body.to_string()).await;
        assert_eq!(answer.told(), "422 invalid", "{body}");
        assert_eq!(answer.pointers(), [format!("/{member}")], "{body}");
        assert!(!answer.text.contains(&long));
    }
    for member in ["type", "data"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(member);
        assert_eq!(rig.post("/events", body.to_string()).await.pointers(), [format!("/{member}")]);
    }
    let deep = event(&format!("{}1{}", r#"{"a":"#.repeat(65), "}".repeat(65)));
    assert_eq!(rig.post("/events", deep).await.told(), "422 invalid");
    assert!(rig.store.events_after(Seq(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_event_has_one_audience() {
    let rig = Rig::with_account("pipai").await;
    for (audience, expected) in [
        (json!({}), "400 bad_audience"),
        (json!({"account": null}), "400 bad_audience"),
        (json!({"broadcast": false}), "400 bad_audience"),
        (json!({"account": "acme", "broadcast": true}), "400 bad_audience"),
        (json!({"account": "nobody"}), "404 not_found"),
        (json!({"account": "../acme"}), "404 not_found"),
    ] {
        let mut body = json!({"type": TYPE, "data": {}});
        body.as_object_mut().unwrap().extend(audience.as_object().unwrap().clone());
        assert_eq!(rig.post("/events", body.to_string()).await.told(), expected, "{audience}");
    }
    let body = json!({"type": TYPE, "data": {}, "account": "acme", "broadcast": false});
    rig.post("/events", body.to_string()).await.ok(202);
}

#[tokio::test]
async fn data_never_repeats_a_member_of_a_flat_envelope() {
    let rig = Rig::with_account("aira").await;
    let body = |data: &str| format!(r#"{{"type":"case.complete","data":{data},"account":"acme"}}"#);
    for data in [r#"{"event":"x"}"#, r#"{"time\u0073tamp":1}"#] {
        let answer = rig.post("/events", body(data)).await;
        assert_eq!((answer.told().as_str(), answer.pointers()), ("422 invalid", vec!["/data".to_owned()]));
    }
    rig.post("/events", body(r#"{"inner":{"event":1}}"#)).await.ok(202);
}

#[tokio::test]
async fn an_event_may_wait_for_its_time() {
    let rig = Rig::with_account("pipai").await;
    for (send_at, expected) in [
        ("2026-09-22T00:00:00+02:00", Some("2026-09-21T22:00:00Z")),
        ("2020-01-01T00:00:00Z", None),
        ("2026-09-21T14:13:20Z", None),
    ] {
        let body = json!({"type": TYPE, "data": {}, "account": "acme", "send_at": send_at});
        rig.publish(&body.to_string()).await;
        let stored = rig.store.event(rig.last_event().await).await.unwrap().unwrap();
        assert_eq!(stored.send_at, expected.and_then(UnixMs::parse_rfc3339), "{send_at}");
    }
}

#[tokio::test]
async fn an_ordering_key_is_kept_and_shown() {
    let rig = Rig::with_account("pipai").await;
    let longest = "k".repeat(128);
    for key in [json!(null), json!("order:4711"), json!(longest)] {
        let body = json!({"type": TYPE, "data": {}, "account": "acme", "ordering_key": key});
        let id = rig.publish(&body.to_string()).await;
        assert_eq!(rig.get(&format!("/events/{id}")).await.ok(200)["ordering_key"], key);
    }
    let batch = json!([{"type": TYPE, "data": {}, "broadcast": true, "ordering_key": "a"},
                       {"type": TYPE, "data": {}, "account": "acme", "ordering_key": "a b"}]);
    let answer = rig.post("/events/batch", batch.to_string()).await.ok(202);
    assert_eq!(answer["events"][1]["error"]["errors"][0]["pointer"], "/ordering_key");
    let stored = rig.store.event(rig.last_event().await).await.unwrap().unwrap();
    assert_eq!(stored.ordering_key.as_ref().map(|key| key.as_str()), Some("a"));
}

#[tokio::test]
async fn what_goes_out_in_order_waits_for_no_time() {
    let rig = Rig::with_account("pipai").await;
    for send_at in ["2026-09-22T00:00:00Z", "2020-01-01T00:00:00Z"] {
        let body =
            json!({"type": TYPE, "data": {}, "account": "acme", "ordering_key": "a", "send_at": send_at});
        let answer = rig.post("/events", body.to_string()).await;
        assert_eq!(
            (answer.told().as_str(), answer.pointers()),
            ("422 invalid", vec!["/ordering_key".to_owned()])
        );
    }
}

#[tokio::test]
async fn the_same_id_with_another_ordering_key_is_a_mistake() {
    let rig = Rig::with_account("pipai").await;
    let body = |key| {
        json!({"type": TYPE, "data": {}, "account": "acme", "id": "i", "ordering_key": key}).to_string()
    };
    rig.post("/events", body(Some("a"))).await.ok(202);
    assert_eq!(rig.post("/events", body(Some("a"))).await.ok(202)["duplicate"], true);
    for other in [Some("b"), None] {
        assert_eq!(rig.post("/events", body(other)).await.told(), "409 idempotency_conflict");
    }
}

#[tokio::test]
async fn the_same_id_is_the_same_event() {
    let rig = Rig::with_account("pipai").await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    let named = |account: &str, data: &str| {
        format!(r#"{{"type":"{TYPE}","data":{data},"account":"{account}","id":"order/1"}}"#)
    };
    let first = rig.post("/events", named("acme", r#"{"a":1}"#)).await.ok(202);
    rig.clock.advance(std::time::Duration::from_secs(60));
    let again = rig.post("/events", named("acme", r#"{"a":1}"#)).await.ok(202);
    assert_eq!((&again["id"], &again["created_at"]), (&first["id"], &first["created_at"]));
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
    // Bytes decide, even where only spaces differ.
    let other = rig.post("/events", named("acme", r#"{"a": 1}"#)).await;
    assert_eq!(other.told(), "409 idempotency_conflict");
    let elsewhere = rig.post("/events", named("other", r#"{"a":1}"#)).await.ok(202);
    assert_eq!(elsewhere["duplicate"], json!(false));
    let by_key = rig.get("/events/order%2F1?account=acme").await.ok(200);
    assert_eq!(by_key["id"], first["id"]);
    assert_eq!(rig.get("/events/order%2F1").await.told(), "404 not_found");
    assert_eq!(rig.get("/events/order%2F1?account=nobody").await.told(), "404 not_found");
    rig.clock.advance(std::time::Duration::from_hours(24));
    let forgotten = rig.post("/events", named("acme", r#"{"a":1}"#)).await.ok(202);
    assert_eq!(forgotten["duplicate"], json!(false));
}

#[tokio::test]
async fn the_header_names_the_event_too() {
    let rig = Rig::with_account("pipai").await;
    let post = |keys: &[&[u8]], body: String| {
        let mut asked = request("POST", "/events");
        for key in keys {
            asked = asked.header("idempotency-key", *key);
        }
        rig.send(asked.body(Body::from(body)).unwrap())
    };
    let with_id = format!(r#"{{"type":"{TYPE}","data":{{}},"account":"acme","id":"k-1"}}"#);
    let first = post(&[b"k-1"], event("{}")).await.ok(202);
    assert_eq!(post(&[b"k-1"], with_id.clone()).await.ok(202)["id"], first["id"]);
    let long = [b'x'; 256];
    for keys in [&[&b"k-2"[..]][..], &[b""], &[b"a b"], &[b"\xc3\xa9"], &[&long], &[b"k-1", b"k-1"]] {
        assert_eq!(post(keys, with_id.clone()).await.told(), "422 invalid", "{keys:?}");
    }
    // A refused request does not use its key up.
    assert_eq!(post(&[b"k-3"], event("1")).await.status, 422);
    assert_eq!(post(&[b"k-3"], event("{}")).await.ok(202)["duplicate"], json!(false));
}

#[tokio::test]
async fn two_hundred_at_once_make_one_event() {
    let rig = Rig::with_account("pipai").await;
    let body = format!(r#"{{"type":"{TYPE}","data":{{}},"account":"acme","id":"once"}}"#);
    let mut ids = Vec::new();
    let mut first = 0;
    let calls: Vec<_> = (0..200).map(|_| rig.post("/events", body.clone())).collect();
    for answer in join_all(calls).await {
        let answer = answer.ok(202);
        first += usize::from(answer["duplicate"] == json!(false));
        ids.push(answer["id"].clone());
    }
    ids.dedup();
    assert_eq!((ids.len(), first), (1, 1));
    assert_eq!(rig.store.events_after(Seq(0), 10).await.unwrap().len(), 1);
}

/// Runs all of them side by side.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, answer) in waiting.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(ready) => *answer = Some(ready),
                std::task::Poll::Pending => is_done = false,
            }
        }
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn a_large_event_is_taken_up_to_the_limit() {
    let rig = Rig::with_account("pipai").await;
    let limit = BodyLimits::default().event_bytes;
    let frame = event(r#"{"t":""}"#).len();
    let filled = |bytes: usize| event(&format!(r#"{{"t":"{}"}}"#, "x".repeat(bytes - frame)));
    rig.post("/events", filled(limit)).await.ok(202);
    assert_eq!(rig.post("/events", filled(limit + 1)).await.told(), "413 too_large");
    let keys: Vec<String> = (0..20_000).map(|n| format!(r#""{n}":{n}"#)).collect();
    rig.post("/events", event(&format!("{{{}}}", keys.join(",")))).await.ok(202);
}

#[tokio::test]
async fn an_open_catalogue_takes_any_dotted_lower_case_type() {
    let rig = Rig::with_account("standard").await;
    for (event_type, status) in [
        ("invoice.paid", 202),
        ("user.profile.changed", 202),
        ("Invoice.Paid", 422),
        ("invoice.*", 422),
        ("*", 422),
        ("invoice paid", 422),
        ("", 422),
    ] {
        let body = json!({"type": event_type, "data": {}, "account": "acme"});
        assert_eq!(rig.post("/events", body.to_string()).await.status, status, "{event_type}");
    }
}
