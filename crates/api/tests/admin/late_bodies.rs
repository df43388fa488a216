//! Tokens that end while a request's body is on its way.

use std::time::Duration;

use posthaste_api::server::ServerBounds;
use posthaste_core::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::publish_wire::Wire;
use crate::rig::NO_CONTENT;

const EVENT: &str = r#"{"type":"strategy.error","data":{},"account":"acme"}"#;
/// Every route that reads a body, and one that is fine there.
const ROUTES: [(&str, &str, &str); 9] = [
    ("POST", "/events", EVENT),
    ("POST", "/events/batch", r#"[{"type":"strategy.error","data":{},"account":"acme"}]"#),
    ("POST", "/tokens", r#"{"name":"successor","scope":"full"}"#),
    ("POST", "/accounts", r#"{"id":"other"}"#),
    ("PATCH", "/accounts/acme", r#"{"name":"other"}"#),
    ("POST", "/accounts/acme/keys", "{}"),
    ("POST", "/accounts/acme/webhooks/wh_1/rotate-secret", "{}"),
    ("POST", "/accounts/acme/webhooks/wh_1/test", "{}"),
    ("POST", "/accounts/acme/webhooks/wh_1/recover", r#"{"since":"2026-09-21T14:00:00Z"}"#),
];

/// Sends a request's head and waits until its body is asked for: by then its token was found good.
async fn begin(wire: &Wire, token: &str, (method, path, body): (&str, &str, &str)) -> TcpStream {
    let head = format!(
        "{method} /admin/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
        Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(wire.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked_for = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked_for).await.unwrap();
    assert!(asked_for.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&asked_for));
    stream
}

async fn end(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Rows of the audit log, and events.
async fn traces(wire: &Wire) -> (usize, usize) {
    let rows = wire.rig.get("/audit?limit=100").await.ok(200)["data"].as_array().unwrap().len();
    (rows, wire.events().await)
}

#[tokio::test]
async fn a_body_that_ends_after_its_token_changes_nothing() {
    let wire = Wire::start(ServerBounds::default()).await;
    let rig = &wire.rig;
    rig.webhook("acme", "wh_1", &["*"]).await;
    let mut rows = 0;
    for is_revoked in [true, false] {
        for route in ROUTES {
            let until = (!is_revoked).then(|| rig.clock.now().plus(Duration::from_secs(10)).rfc3339_ms());
            let body = json!({"name": format!("token {rows}"), "scope": "full", "expires_at": until});
            let token = rig.post("/tokens", body.to_string()).await.ok(201);
            let stream = begin(&wire, token["token"].as_str().unwrap(), route).await;
            match is_revoked {
                true => {
                    let revoke = format!("/tokens/{}", token["id"].as_str().unwrap());
                    assert_eq!(rig.call("DELETE", &revoke, "").await.status, NO_CONTENT);
                }
                false => rig.clock.advance(Duration::from_secs(10)),
            }
            let before = traces(&wire).await;
            let answer = end(stream, route.2).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{route:?}: {answer}");
            assert_eq!(traces(&wire).await, before, "{route:?}");
            rows += 1;
        }
    }
    println!("counted | admin | bodies that came after the end of their token | {rows}");
}

#[tokio::test]
async fn a_slow_body_is_no_fault() {
    let wire = Wire::start(ServerBounds::default()).await;
    let token = wire.rig.post("/tokens", r#"{"name":"t","scope":"publish"}"#).await.ok(201);
    for (route, (_, _, body)) in ROUTES.into_iter().take(2).enumerate() {
        let stream = begin(&wire, token["token"].as_str().unwrap(), ROUTES[route]).await;
        let answer = end(stream, body).await;
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    assert_eq!(wire.events().await, 2);
}
