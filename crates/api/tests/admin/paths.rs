//! Bad paths, queries and methods, to every route there is.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste_api::admin::routes_shown;

use crate::refusals::Bad;
use crate::rig::{Rig, TOKEN};

/// The lists that come in parts.
const LISTS: [&str; 5] =
    ["/audit", "/tokens", "/accounts", "/accounts/acme/webhooks", "/accounts/acme/webhooks/wh_1/deliveries"];

/// Every path, with names for what stands in it, and its methods.
fn routes() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut routes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for route in routes_shown() {
        routes.entry(route.path).or_default().push(route.method);
    }
    routes
}

async fn rig() -> Rig {
    let rig = Rig::with_account("pipai").await;
    rig.webhook("acme", "wh_1", &["*"]).await;
    rig
}

fn good_path(route: &str) -> String {
    let names = [
        ("{account}", "acme"),
        ("{key}", "key_x"),
        ("{webhook}", "wh_1"),
        ("{delivery}", "dlv_x"),
        ("{event}", "evt_x"),
        ("{token}", "tok_x"),
    ];
    names.iter().fold(route.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[tokio::test]
async fn ids_of_nothing_are_not_found_in_every_place() {
    let rig = rig().await;
    let long = "a".repeat(10_000);
    let ids = [
        "..",
        ".",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "%20",
        "%00",
        "%0a",
        "%0d%0aX:1",
        "'",
        "%22",
        ";",
        "*",
        "null",
        "undefined",
        "%ff",
        "%c0%af",
        "%",
        "%zz",
        "-1",
        "0",
        "9223372036854775808",
        "acme%20",
        "ACME",
        "acme%00",
        "wh_1%00",
        "WH_1",
        "wh_1%2f",
        "wh_1;x",
        "evt_",
        "dlv_",
        "dlv_%00",
        "evt_zzzzzzzzzzzz",
        "dlv_ffffffffffffffffffffffff",
        "%f0%9f%a6%80",
        "$ne",
        "__proto__",
        &long,
    ];
    let bodies = [("rotate-secret", "{}"), ("recover", r#"{"since":"2026-09-21T14:00:00Z"}"#)];
    let mut rows = 0;
    for (route, methods) in routes() {
        for name in ["{account}", "{key}", "{webhook}", "{delivery}", "{event}", "{token}"]
            .into_iter()
            .filter(|name| route.contains(name))
        {
            for id in ids {
                for method in &methods {
                    let path = good_path(&route.replace(name, id));
                    let body =
                        bodies.iter().find(|(end, _)| route.ends_with(end)).map_or("{}", |(_, body)| body);
                    rig.assert_refused("Q4 Q5 Q8", &Bad::new(method, path, body), "404 not_found").await;
                    rows += 1;
                }
            }
        }
    }
    println!("counted | requests | ids of nothing in admin paths | {rows}");
}

#[tokio::test]
async fn queries_of_lists_keep_their_rules() {
    let rig = rig().await;
    rig.post("/accounts", r#"{"id":"other"}"#).await.ok(201);
    for id in ["wh_a", "wh_b", "wh_c"] {
        rig.webhook("other", id, &[]).await;
    }
    let long = "9".repeat(5_000);
    let limits = [
        "0",
        "-1",
        "201",
        "1.5",
        "abc",
        "",
        "%00",
        "%201",
        "%2B1",
        "1e2",
        "0x1",
        "%D9%A1",
        "1%0a",
        "1,2",
        "18446744073709551616",
        "00000000000000000000201",
        &long,
    ];
    let cursors = [
        "",
        "x",
        "AAAA",
        "%00",
        "null",
        "AAAAAAAAAAAAAAAA%3D",
        "AAAAAAAAAAAAAAA!",
        "AAAAAAAAAAAAAAAAA",
        "%F0%9F%A6%80",
        &long,
    ];
    let mut rows = 0;
    for list in LISTS {
        for limit in limits {
            let bad = Bad::new("GET", format!("{list}?limit={limit}"), "");
            assert_eq!(rig.assert_refused("Q10 Q11", &bad, "422 invalid").await.pointers(), ["limit"]);
        }
        for cursor in cursors {
            let bad = Bad::new("GET", format!("{list}?cursor={cursor}"), "");
            assert_eq!(rig.assert_refused("Q20", &bad, "422 invalid").await.pointers(), ["cursor"]);
        }
        // A place of another list, or of none, shows nothing of another account.
        let foreign =
            rig.get("/accounts/other/webhooks?limit=1").await.ok(200)["next"].as_str().unwrap().to_owned();
        let numbers =
            [(0, 0), (-1, -1), (i64::MIN, 0), (i64::MAX, i64::MAX), (i64::MAX, i64::MIN), (i64::MAX, -1)];
        let guessed = numbers.map(|(one, two): (i64, i64)| {
            URL_SAFE_NO_PAD.encode([one.to_be_bytes(), two.to_be_bytes()].as_flattened())
        });
        for cursor in guessed.iter().chain([&foreign]) {
            let answer = rig.get(&format!("{list}?cursor={cursor}")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(!list.starts_with("/accounts/acme") || !answer.text.contains("other"), "{answer:?}");
        }
        // What is not known is no query of ours, and of two the last counts.
        for query in ["x=y", "limit[]=0", "LIMIT=0", "limit=1&limit=2", "&&&", "=", "a=%zz"] {
            rig.get(&format!("{list}?{query}")).await.ok(200);
        }
        rows += limits.len() + cursors.len() + 14;
    }
    println!("counted | requests | queries of admin lists | {rows}");
}

#[tokio::test]
async fn every_path_names_its_methods_and_no_other_path_is_known() {
    let rig = rig().await;
    let mut rows = 0;
    for (route, methods) in routes() {
        let path = good_path(route);
        let is_read = methods.contains(&"GET");
        let allowed: Vec<&str> = methods
            .iter()
            .flat_map(|method| if *method == "GET" { vec!["GET", "HEAD"] } else { vec![*method] })
            .collect();
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "FOO",
        ] {
            if allowed.contains(&method) {
                continue;
            }
            let bad = Bad::new(method, &*path, "{");
            if method == "HEAD" {
                // The body is left out by the server in front; the refusal is the same.
                assert_eq!(rig.call("HEAD", &path, "").await.status, 405, "{path}");
                continue;
            }
            let answer = rig.assert_refused("A62", &bad, "405 method_not_allowed").await;
            let mut named: Vec<&str> =
                answer.headers["allow"].to_str().unwrap().split(',').map(str::trim).collect();
            let mut expected = allowed.clone();
            named.sort_unstable();
            expected.sort_unstable();
            assert_eq!(named, expected, "{method} {path}");
            assert!(
                answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")),
                "{answer:?}"
            );
            rows += 1;
        }
        if is_read {
            let (got, headed) = (rig.get(&path).await, rig.call("HEAD", &path, "").await);
            assert_eq!((got.status, &*headed.text), (headed.status, ""), "Q32 {path}");
        }
        for other in [
            format!("{path}/"),
            format!("/{path}"),
            format!("{path}//"),
            format!("/.{path}"),
            format!("/x/..{path}"),
            format!("{path}%2f"),
            path.to_uppercase(),
        ] {
            // Below `/events` anything may be an event's id.
            for method in methods.iter().filter(|_| other != "/events/batch%2f") {
                // Upper case may be the id of something that is not there; it is not found either way.
                rig.assert_refused("A59", &Bad::new(method, &*other, "{}"), "404 not_found").await;
                rows += 1;
            }
        }
    }
    for path in [
        "",
        "/",
        "/debug",
        "/tokens.txt",
        "/metrics",
        "/openapi.json",
        "/events/batch/x/y",
        "/accounts/acme/events",
        "/../v1/accounts",
        "/%61ccounts%00",
    ] {
        for method in ["GET", "POST", "FOO"] {
            rig.assert_refused("A61", &Bad::new(method, path, ""), "404 not_found").await;
            rows += 1;
        }
    }
    for path in [
        "/admin",
        "/admin/",
        "/admin/v1",
        "/admin/v1/",
        "/admin/v2/accounts",
        "/ADMIN/v1/accounts",
        "/admin//v1/accounts",
    ] {
        let asked = Request::builder().uri(path).header("authorization", format!("Bearer {TOKEN}"));
        let answer = rig.send(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.told(), "404 not_found", "{path}");
        rows += 1;
    }
    println!("counted | requests | methods and paths of the admin API | {rows}");
}
