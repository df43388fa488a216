//! Named tokens: what they are, what each scope opens, and their end.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use posthaste_api::admin::{RouteShown, routes_shown};
use posthaste_api::server::{ServerBounds, Site, SiteParts, serve};
use posthaste_core::Scope;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::rig::{Answer, NO_CONTENT, Rig, TOKEN};

async fn create(rig: &Rig, name: &str, scope: &str) -> Value {
    rig.post("/tokens", json!({"name": name, "scope": scope}).to_string()).await.ok(201)
}

fn text(token: &Value) -> String {
    token["token"].as_str().unwrap().to_owned()
}

/// A request as somebody with this token, whose body nobody should read who may not.
async fn ask(rig: &Rig, method: &str, path: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("/admin/v1{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    rig.send(request.header("content-type", "text/plain").body(Body::from("{")).unwrap()).await
}

#[tokio::test]
async fn a_token_is_shown_once_and_listed_without_its_text() {
    let rig = Rig::with_account("standard").await;
    let body = json!({"name": "shop é", "scope": "publish", "expires_at": "2036-01-01T00:00:00Z"});
    let made = rig.post("/tokens", body.to_string()).await.ok(201);
    let own = text(&made);
    assert!(
        own.starts_with("pht_") && own.len() == 48 && own[4..].bytes().all(|b| b.is_ascii_alphanumeric())
    );
    assert!(made["id"].as_str().unwrap().starts_with("tok_"), "{made}");
    assert_eq!((&made["name"], &made["scope"]), (&json!("shop é"), &json!("publish")));
    assert_eq!(made["expires_at"], "2036-01-01T00:00:00.000Z");
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("token");
    let listed = rig.get("/tokens").await;
    assert!(!listed.text.contains(&own));
    assert_eq!(listed.json()["data"], json!([shown]));
    // It was used just now; housekeeping writes that down.
    assert_eq!(ask(&rig, "GET", "/accounts", Some(&own)).await.status, 403);
    posthaste_store::Store::tidy_audit(&*rig.store, posthaste_core::UnixMs(0)).await.unwrap();
    assert_eq!(rig.get("/tokens").await.json()["data"][0]["last_used_at"], made["created_at"]);
    for number in 0..3 {
        create(&rig, &format!("t{number}"), "read").await;
    }
    let first = rig.get("/tokens?limit=3").await.json();
    let rest = rig.get(&format!("/tokens?cursor={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
}

#[tokio::test]
async fn a_bad_wish_for_a_token_is_refused() {
    let rig = Rig::new("standard");
    create(&rig, "taken", "read").await;
    let at_most = "n".repeat(100);
    let rows = [
        (json!({}), "422 invalid", vec!["/name", "/scope"]),
        (json!({"name": "a"}), "422 invalid", vec!["/scope"]),
        (json!({"scope": "read"}), "422 invalid", vec!["/name"]),
        (json!({"name": "", "scope": "read"}), "422 invalid", vec!["/name"]),
        (json!({"name": "n".repeat(101), "scope": "read"}), "422 invalid", vec!["/name"]),
        (json!({"name": "a\nb", "scope": "read"}), "422 invalid", vec!["/name"]),
        (json!({"name": "a\u{0}b", "scope": "read"}), "422 invalid", vec!["/name"]),
        (json!({"name": "a\u{9b}b", "scope": "read"}), "422 invalid", vec!["/name"]),
        (json!({"name": 1, "scope": "read"}), "422 invalid", vec!["/name"]),
        (json!({"name": null, "scope": null}), "422 invalid", vec!["/name", "/scope"]),
        (json!({"name": "a", "scope": "FULL"}), "422 invalid", vec!["/scope"]),
        (json!({"name": "a", "scope": "admin"}), "422 invalid", vec!["/scope"]),
        (json!({"name": "a", "scope": ["full"]}), "422 invalid", vec!["/scope"]),
        (json!({"name": "a", "scope": "read", "expires_at": "soon"}), "422 invalid", vec!["/expires_at"]),
        (
            json!({"name": "a", "scope": "read", "expires_at": "2001-01-01T00:00:00Z"}),
            "422 invalid",
            vec!["/expires_at"],
        ),
        (json!({"name": "a", "scope": "read", "token": "pht_mine"}), "422 invalid", vec!["/token"]),
        (json!({"name": "a", "scope": "read", "id": "tok_mine"}), "422 invalid", vec!["/id"]),
        (json!({"name": "taken", "scope": "full"}), "409 taken", vec![]),
        (json!({"name": "operator", "scope": "full"}), "409 taken", vec![]),
        (json!([]), "400 bad_body", vec![]),
    ];
    for (body, told, pointers) in &rows {
        let answer = rig.post("/tokens", body.to_string()).await;
        assert_eq!(
            (answer.told().as_str(), answer.pointers()),
            (*told, pointers.iter().map(|p| (*p).to_owned()).collect()),
            "{body}"
        );
    }
    assert_eq!(rig.get("/tokens").await.json()["data"].as_array().unwrap().len(), 1);
    rig.post("/tokens", json!({"name": at_most, "scope": "read"}).to_string()).await.ok(201);
    assert_eq!(rig.call("DELETE", "/tokens/tok_unknown", "").await.told(), "404 not_found");
    println!("counted | admin | bad wishes for a token | {}", rows.len());
}

/// What a route should need, said once more in other words.
fn expected_need(route: RouteShown) -> Scope {
    match (route.method, route.path) {
        (_, "/tokens" | "/tokens/{token}" | "/audit") => Scope::Full,
        ("POST", "/events" | "/events/batch") => Scope::Publish,
        ("GET", _) => Scope::Read,
        _ => Scope::Full,
    }
}

/// Names that belong to nothing, so that nobody who may pass changes anything.
fn path(route: RouteShown) -> String {
    ["{account}", "{key}", "{webhook}", "{event}", "{delivery}", "{token}"]
        .iter()
        .fold(route.path.to_owned(), |path, name| path.replace(name, "none"))
}

#[tokio::test]
async fn every_route_opens_to_its_scope_and_to_no_other() {
    let rig = Rig::with_account("standard").await;
    let key = text(&json!({"token": rig.post("/accounts/acme/keys", "{}").await.ok(201)["key"]}));
    let mut callers = Vec::new();
    for scope in Scope::ALL {
        callers.push((
            scope.word(),
            Some(text(&create(&rig, scope.word(), scope.word()).await)),
            Some(*scope),
        ));
    }
    let revoked = create(&rig, "revoked", "full").await;
    assert_eq!(
        rig.call("DELETE", &format!("/tokens/{}", revoked["id"].as_str().unwrap()), "").await.status,
        NO_CONTENT
    );
    let body = json!({"name": "expired", "scope": "full", "expires_at": "2026-09-21T14:13:30Z"});
    let expired = rig.post("/tokens", body.to_string()).await.ok(201);
    rig.clock.advance(Duration::from_secs(10));
    callers.extend([
        ("operator", Some(TOKEN.to_owned()), Some(Scope::Full)),
        ("none", None, None),
        ("wrong", Some(format!("pht_{}", "x".repeat(44))), None),
        ("revoked", Some(text(&revoked)), None),
        ("expired", Some(text(&expired)), None),
    ]);
    let mut rows = 0;
    for route in routes_shown() {
        assert_eq!(route.needs, expected_need(route), "{route:?}");
        let methods = if route.method == "GET" { &["GET", "HEAD"][..] } else { &[route.method][..] };
        for method in methods {
            for (who, token, scope) in &callers {
                let answer = ask(&rig, method, &path(route), token.as_deref()).await;
                let expected = match scope {
                    None => Some((401, "unauthorized")),
                    Some(scope) if !scope.covers(route.needs) => Some((403, "forbidden")),
                    Some(_) => None,
                };
                match expected {
                    Some((status, code)) => {
                        assert_eq!(answer.status, status, "{method} {route:?} {who}");
                        // What answers HEAD has no body.
                        if *method != "HEAD" {
                            assert_eq!(answer.code(), code, "{method} {route:?} {who}");
                            assert!(status == 401 || answer.text.contains(route.needs.word()), "{answer:?}");
                        }
                    }
                    None => assert!(
                        ![401, 403, 405, 429].contains(&answer.status),
                        "{method} {route:?} {who}: {answer:?}"
                    ),
                }
                rows += 1;
            }
            // For the product's customers there is no admin API.
            assert_eq!(ask(&rig, method, &path(route), Some(&key)).await.status, 404, "{method} {route:?}");
            rows += 1;
        }
    }
    println!("counted | admin | scope rows | {rows}");
}

#[tokio::test]
async fn a_publish_token_publishes_and_reads_nothing() {
    let rig = Rig::with_account("standard").await;
    let token = text(&create(&rig, "shop", "publish").await);
    let publish = async |path: &str, body: &str| {
        let request = Request::post(format!("/admin/v1{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        rig.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let event = r#"{"type":"invoice.paid","account":"acme","data":{}}"#;
    let id = publish("/events", event).await.ok(202)["id"].as_str().unwrap().to_owned();
    publish("/events/batch", &format!("[{event}]")).await.ok(202);
    assert_eq!(publish("/events", &event.replace("acme", "none")).await.told(), "404 not_found");
    // Known or not, what it may not read answers alike.
    let answers = [
        format!("/events/{id}"),
        "/events/none".to_owned(),
        "/accounts/acme".to_owned(),
        "/accounts/none".to_owned(),
    ];
    for path in &answers {
        assert_eq!(ask(&rig, "GET", path, Some(&token)).await.told(), "403 forbidden", "{path}");
    }
}

/// Sends a request on an open connection and answers its status.
async fn over(stream: &mut TcpStream, token: &str, path: &str) -> u16 {
    let request = format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()[9..12].parse().unwrap()
}

#[tokio::test]
async fn a_revoked_token_ends_on_connections_that_are_open() {
    let rig = Rig::with_account("standard").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let site = Site::new(SiteParts {
        public: None,
        docs: None,
        admin: Some(rig.router.clone()),
        readiness: Arc::new(|| Ok(())),
        metrics: None,
    });
    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(serve(listener, Arc::new(site), ServerBounds::default(), &[], stopping));
    let mut connections = Vec::new();
    for _ in 0..8 {
        connections.push(TcpStream::connect(at).await.unwrap());
    }
    for round in 0..20 {
        let token = create(&rig, &format!("t{round}"), "read").await;
        for connection in &mut connections {
            assert_eq!(over(connection, &text(&token), "/admin/v1/accounts").await, 200);
        }
        rig.call("DELETE", &format!("/tokens/{}", token["id"].as_str().unwrap()), "").await;
        let connection = &mut connections[round % 8];
        assert_eq!(over(connection, &text(&token), "/admin/v1/accounts").await, 401, "at once");
    }
    stop.send(true).unwrap();
    serving.await.unwrap();
}
