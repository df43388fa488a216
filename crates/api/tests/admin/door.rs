//! What every request has to pass: route, method, token, kind and size of the body.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::Request;
use posthaste_api::admin::BodyLimits;
use posthaste_api::body::BodyTrouble;

use crate::rig::{Rig, TOKEN, request};

#[tokio::test]
async fn routes_and_methods_come_before_the_token() {
    let rig = Rig::new("aira");
    let bare =
        |method: &str, path: &str| Request::builder().method(method).uri(path).body(Body::from("{")).unwrap();
    for (method, path, expected) in [
        ("GET", "/admin/v1/nothing", "404 not_found"),
        ("GET", "/admin/v1", "404 not_found"),
        ("GET", "/admin/v1/accounts/", "404 not_found"),
        ("GET", "/admin/v1//accounts", "404 not_found"),
        ("PUT", "/admin/v1/accounts", "405 method_not_allowed"),
        ("OPTIONS", "/admin/v1/events", "405 method_not_allowed"),
        ("GET", "/admin/v1/events/batch", "405 method_not_allowed"),
        ("GET", "/admin/v1/accounts", "401 unauthorized"),
        ("POST", "/admin/v1/events", "401 unauthorized"),
        ("GET", "/admin/v1/accounts/%00", "401 unauthorized"),
    ] {
        let answer = rig.send(bare(method, path)).await;
        assert_eq!(answer.told(), expected, "{method} {path}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), answer.status == 401);
        assert_eq!(answer.headers.contains_key("allow"), answer.status == 405, "{method} {path}");
    }
    let allowed = rig.send(bare("PUT", "/admin/v1/accounts/x")).await.headers["allow"].clone();
    assert_eq!(allowed, "GET,HEAD,PATCH,DELETE");
}

#[tokio::test]
async fn only_the_whole_token_opens() {
    let rig = Rig::with_account("aira").await;
    let key = rig.post("/accounts/acme/keys", "{}").await.ok(201)["key"].as_str().unwrap().to_owned();
    for (credentials, expected) in [
        (vec![format!("Bearer {TOKEN}")], 200),
        (vec![format!("bearer {TOKEN}")], 200),
        (vec![], 401),
        (vec![TOKEN.to_owned()], 401),
        (vec![format!("Bearer  {TOKEN}")], 401),
        (vec![format!("Bearer {TOKEN}x")], 401),
        (vec![format!("Bearer {}", &TOKEN[1..])], 401),
        (vec![format!("Bearer {}", TOKEN.to_uppercase())], 401),
        (vec!["Bearer ".to_owned()], 401),
        (vec![format!("Basic {TOKEN}")], 401),
        (vec![format!("Bearer {TOKEN}"), format!("Bearer {TOKEN}")], 401),
        // The product's customers see no admin API at all.
        (vec![format!("Bearer {key}")], 404),
    ] {
        let mut asked = Request::builder().uri("/admin/v1/accounts");
        for credential in &credentials {
            asked = asked.header("authorization", credential);
        }
        let answer = rig.send(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, expected, "{credentials:?}");
    }
}

#[tokio::test]
async fn a_customers_key_opens_nothing_however_it_is_carried() {
    for contract in ["aioka", "aira", "elydora", "pipai", "standard"] {
        let rig = Rig::with_account(contract).await;
        let key = rig.post("/accounts/acme/keys", "{}").await.ok(201)["key"].as_str().unwrap().to_owned();
        let asked =
            Request::builder().uri("/admin/v1/accounts").header("authorization", format!("Bearer {key}"));
        let answer = rig.send(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 404, "{contract}");
    }
}

#[tokio::test]
async fn bodies_are_json_and_bounded() {
    let rig = Rig::with_limits("aira", BodyLimits { event_bytes: 100, batch_bytes: 200 });
    let long = |length: usize| format!(r#"{{"id":"a","name":"{}"}}"#, "x".repeat(length));
    let kinds = |kinds: &[&str], body: String| {
        let mut asked = Request::builder().method("POST").uri("/admin/v1/accounts");
        asked = asked.header("authorization", format!("Bearer {TOKEN}"));
        for kind in kinds {
            asked = asked.header("content-type", *kind);
        }
        asked.body(Body::from(body)).unwrap()
    };
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/x-ndjson", "json", "é"] {
        let answer = rig.send(kinds(&[kind], long(1))).await;
        assert_eq!(answer.told(), "415 unsupported_media_type", "{kind}");
    }
    let twice = kinds(&["application/json", "application/json"], long(1));
    assert_eq!(rig.send(twice).await.status, 415);
    let packed = request("POST", "/accounts").header("content-encoding", "gzip");
    assert_eq!(rig.send(packed.body(Body::from(long(1))).unwrap()).await.status, 415);
    assert_eq!(rig.post("/accounts", long(100)).await.told(), "413 too_large");
    assert_eq!(rig.post("/events/batch", "[".repeat(201)).await.told(), "413 too_large");
    for (kinds_named, expected) in [
        (&["APPLICATION/JSON"][..], 201),
        // It is the second account of this name.
        (&["application/json;charset=\"utf-8\""], 409),
        (&[], 409),
    ] {
        assert_eq!(rig.send(kinds(kinds_named, long(1))).await.status, expected, "{kinds_named:?}");
    }
}

#[tokio::test]
async fn small_bodies_are_sound_objects_of_known_members() {
    let rig = Rig::new("aira");
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "{",
        "{}}",
        "{} {}",
        "null",
        "true",
        "1",
        "\"x\"",
        "[]",
        r#"["acme"]"#,
        "{\"id\":\"a\"}\0",
        "{\"id\":\"a\nb\"}",
        r#"{"id":"a","\u0069d":"b"}"#,
        r#"{"id":"\ud800"}"#,
        r#"{"id":01}"#,
        &deep,
    ] {
        assert_eq!(rig.post("/accounts", body.to_owned()).await.told(), "400 bad_body", "{:.20}", body);
    }
    for body in [&b"{\"id\":\"\xff\"}"[..], b"{\"id\":\"\xc0\xaf\"}", b"\xff\xfe{\0}\0"] {
        assert_eq!(rig.post("/accounts", body.to_owned()).await.told(), "400 bad_body");
    }
    let answer = rig.post("/accounts", r#"{"id":"a","nmae":"x"}"#).await;
    assert_eq!((answer.told().as_str(), answer.pointers()), ("422 invalid", vec!["/nmae".to_owned()]));
    assert_eq!(rig.get("/accounts").await.ok(200)["data"].as_array().unwrap().len(), 0);
}

/// A body of which nothing good arrives.
struct Halted(Option<BodyTrouble>);

impl http_body::Body for Halted {
    type Data = bytes::Bytes;
    type Error = BodyTrouble;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, BodyTrouble>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

#[tokio::test]
async fn a_body_that_halts_is_told_from_one_that_breaks_off() {
    let rig = Rig::new("aira");
    for (trouble, expected) in [
        (BodyTrouble::TooSlow, "408 timeout"),
        (BodyTrouble::TooLong, "413 too_large"),
        (BodyTrouble::Broken, "400 bad_body"),
    ] {
        let answer = rig.post("/accounts", Body::new(Halted(Some(trouble)))).await;
        assert_eq!(answer.told(), expected);
    }
}
