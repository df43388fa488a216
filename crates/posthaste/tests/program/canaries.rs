//! Secrets are nowhere: not in what is logged at the highest level, not in any file, not in any answer but the one that
//! shows them, not on the wire.

mod search;
mod tour;

use std::path::Path;

use http::StatusCode;
use posthaste_contract::Op;
use posthaste_contract::model::Segment;
use serde_json::{Value, json};

use crate::support::until;
use search::Search;
use tour::{Holder, Tour, digits, event_type};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_anywhere() {
    let (mut bytes, mut secrets, mut hits) = (0, 0, Vec::new());
    for name in posthaste_contract::builtin::names() {
        let mut tour = Tour::of(name).await;
        take(&mut tour).await;
        let (searched, found) = search(&tour);
        bytes += searched;
        secrets += tour.canaries.len();
        hits.extend(found.into_iter().map(|hit| format!("{name}: {hit}")));
    }
    assert!(hits.is_empty(), "{} hits:\n{}", hits.len(), hits.join("\n"));
    println!("counted | secrets | secrets sought in all forms | {secrets}");
    println!("counted | secrets | bytes searched | {bytes}");
    println!("counted | secrets | secrets found where they must not be | {}", hits.len());
}

/// Everything that can be done, and everything that can be done wrong.
async fn take(tour: &mut Tour) {
    tour.admin("POST", "/accounts", Some(json!({"id": "acme"}))).await;
    let (holder, other) = (tour.holder("acme").await, tour.holder("acme").await);
    for name in ["first", "second"] {
        let (status, token) =
            tour.admin("POST", "/tokens", Some(json!({"name": name, "scope": "full"}))).await;
        assert!(status == 201 && token["token"].is_string(), "{token}");
    }
    let webhook = manage(tour, &holder).await;
    deliver(tour, &webhook).await;
    put_secrets_in_wrong_places(tour, &[&holder, &other], &webhook).await;
    for path in ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/console", "/"] {
        tour.ask("GET", path, &[], None).await;
    }
    tour.command(&["secrets", "rotate"], false);
    tour.add_master_key("the second master key");
    deliver(tour, &webhook).await;
    tour.crash().await;
    deliver(tour, &webhook).await;
    run_commands(tour);
    for route in tour.routes(|op| op == Op::WebhookDelete) {
        tour.call(&holder, &route, (&webhook, ""), None).await;
    }
    tour.server.terminate();
    tour.server.wait().await;
}

/// Registers webhooks, and calls every route of the contract but those that delete. Answers a webhook's id.
async fn manage(tour: &mut Tour, holder: &Holder) -> String {
    let create = tour.routes(|op| op == Op::WebhookCreate).remove(0);
    for path in ["one", "two"] {
        let body = tour.body(&create, path, "");
        let (status, answer) = tour.call(holder, &create, ("", ""), body.as_ref()).await;
        assert!((200..300).contains(&status), "{status} {answer}");
    }
    let (_, listed) = tour.admin("GET", "/accounts/acme/webhooks", None).await;
    let webhook = listed["data"][0]["id"].as_str().unwrap().to_owned();
    for route in tour.routes(|op| op != Op::WebhookDelete && op != Op::WebhookCreate) {
        let body = tour.body(&route, "one", &webhook);
        let (status, answer) = tour.call(holder, &route, (&webhook, "none"), body.as_ref()).await;
        // Of a delivery that is not there nothing more is told. What asks for an answer of the receiver may not get one.
        let is_of_delivery = route.segments.iter().any(|segment| matches!(segment, Segment::Delivery));
        let is_known =
            !matches!(status, 401 | 403 | 405) && status < 600 && (status != 404 || is_of_delivery);
        assert!(is_known, "{} {status} {answer}", route.path);
    }
    for verb in ["pause", "resume", "rotate-secret", "rotate-secret", "test"] {
        let path = format!("/accounts/acme/webhooks/{webhook}/{verb}");
        let (mut done, mut answer) = tour.admin("POST", &path, Some(json!({}))).await;
        if done == 422 && verb == "rotate-secret" {
            // Where customers bring their secrets.
            let own = tour.own_secret();
            (done, answer) = tour.admin("POST", &path, Some(json!({"secret": own}))).await;
        }
        assert!((200..300).contains(&done), "{verb}: {done} {answer}");
    }
    webhook
}

/// Deliveries that fail and deliveries that arrive, and all that is told of them.
async fn deliver(tour: &mut Tour, webhook: &str) {
    let event = json!({"type": event_type(&tour.contract), "account": "acme", "data": {"n": 1}});
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FOUND, StatusCode::OK] {
        tour.answer_with(status);
        let (accepted, answer) = tour.admin("POST", "/events", Some(event.clone())).await;
        assert_eq!(accepted, 202, "{answer}");
        let arrival = tour.inbox.next().await;
        let told = [format!("{:?}", arrival.headers).into_bytes(), arrival.body.to_vec()].concat();
        tour.seen.push(("what the receiver got".to_owned(), told));
        let id = answer["id"].as_str().unwrap().to_owned();
        let (told, answer) = tour.admin("GET", &format!("/events/{id}"), None).await;
        assert_eq!(told, 200, "{answer}");
    }
    let list = format!("/accounts/acme/webhooks/{webhook}/deliveries");
    let deliveries = until("a delivery on record", async || {
        let (_, listed) = tour.admin("GET", &list, None).await;
        listed["data"].as_array().filter(|list| !list.is_empty()).cloned()
    })
    .await;
    for delivery in &deliveries {
        let id = delivery["id"].as_str().unwrap();
        let (told, answer) = tour.admin("GET", &format!("/deliveries/{id}"), None).await;
        assert_eq!(told, 200, "{answer}");
        let (retried, answer) = tour.admin("POST", &format!("/deliveries/{id}/retry"), None).await;
        // One that is pending is not retried.
        assert!(matches!(retried, 202 | 409), "{retried} {answer}");
    }
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    let recover = format!("/accounts/acme/webhooks/{webhook}/recover");
    let (recovered, answer) = tour.admin("POST", &recover, Some(since)).await;
    assert!((200..300).contains(&recovered), "{recovered} {answer}");
    let (told, answer) = tour.admin("GET", "/audit", None).await;
    assert_eq!(told, 200, "{answer}");
}

/// Callers who put their secrets where they do not belong.
async fn put_secrets_in_wrong_places(tour: &mut Tour, holders: &[&Holder], webhook: &str) {
    let token = tour.data().join("admin.token");
    let mut secrets = vec![std::fs::read_to_string(token).unwrap().trim().to_owned()];
    for holder in holders {
        secrets.push(holder.key.clone());
        secrets.extend(holder.signing_secret.clone());
    }
    let create = tour.routes(|op| op == Op::WebhookCreate).remove(0);
    for secret in &secrets {
        let s = secret.as_str();
        for target in misplaced_targets(s, &create.path, webhook) {
            for method in ["GET", "POST", "DELETE"] {
                tour.ask(method, &target, &[], Some("{}")).await;
            }
        }
        for (name, value) in misplaced_headers(s) {
            let header = (name.to_owned(), value);
            for target in [create.path.as_str(), "/admin/v1/accounts", "/healthz", "/metrics"] {
                tour.ask("GET", target, &[header.clone(), header.clone()], None).await;
                tour.ask("GET", target, std::slice::from_ref(&header), None).await;
            }
        }
        for body in misplaced_bodies(s) {
            let headers = tour.credentials(holders[0], "POST", &create.path, &body);
            tour.ask("POST", &create.path, &headers, Some(&body)).await;
        }
        for body in [json!({"type": "a.b", "account": s, "data": s}), json!({"since": s, "until": s})] {
            for path in ["/events".to_owned(), format!("/accounts/acme/webhooks/{webhook}/recover")] {
                tour.admin("POST", &path, Some(body.clone())).await;
            }
        }
        let lines =
            [format!("GET {s} HTTP/1.1"), format!("{s} / HTTP/1.1"), format!("GET / HTTP/1.1\r\n{s}")];
        for line in lines {
            let head = format!("{line}\r\nhost: {s}\r\nconnection: close\r\n\r\n");
            tour.raw("a malformed head", head.as_bytes()).await;
        }
    }
}

fn misplaced_targets(s: &str, create: &str, webhook: &str) -> Vec<String> {
    vec![
        format!("/{s}"),
        format!("/?key={s}&token={s}"),
        format!("{create}?limit={s}&cursor={s}&api_key={s}"),
        format!("{create}/{s}"),
        format!("{create}/{webhook}?secret={s}"),
        format!("/admin/v1/{s}"),
        format!("/admin/v1/accounts?token={s}"),
        format!("/admin/v1/accounts/{s}/keys/{s}"),
        format!("/admin/v1/events/{s}"),
        format!("/docs?{s}"),
        format!("/metrics?{s}"),
    ]
}

fn misplaced_headers(s: &str) -> Vec<(&'static str, String)> {
    let mut headers: Vec<(&str, String)> =
        ["cookie", "user-agent", "referer", "x-request-id", "traceparent", "accept", "idempotency-key"]
            .map(|name| (name, format!("a={s}")))
            .to_vec();
    for value in [s.to_owned(), format!("Basic {s}"), format!("Bearer {s}x"), format!("Bearer {s} {s}")] {
        headers.push(("authorization", value));
    }
    headers.push(("x-api-key", format!("{s}x")));
    headers.push(("proxy-authorization", format!("Bearer {s}")));
    headers
}

/// Values, not names: which member is not known may be said.
fn misplaced_bodies(s: &str) -> Vec<String> {
    let with = |value: Value| {
        ["url", "endpoint_url", "events", "secret", "description", "token"]
            .map(|name| json!({name: value}))
            .to_vec()
    };
    let mut bodies: Vec<String> = [json!(s), json!([s]), json!({"a": s})]
        .into_iter()
        .flat_map(with)
        .map(|body| body.to_string())
        .collect();
    bodies.extend([
        s.to_owned(),
        format!("{{\"url\": \"{s}"),
        format!("[\"{s}\"]"),
        format!("{{\"url\": {s}}}"),
    ]);
    bodies
}

/// What operators run beside the server, well and badly.
fn run_commands(tour: &mut Tour) {
    for arguments in [
        &["account", "list"][..],
        &["key", "list", "--account", "acme"],
        &["deliveries", "--account", "acme"],
        &["recover", "--account", "acme", "--since", "1h", "--dry-run"],
        &["secrets", "show"],
        &["backup", "backup.db"],
        &["verify"],
        &["verify", "backup.db"],
    ] {
        tour.command(arguments, false);
    }
    let password = format!("pass{}", digits(7));
    tour.canaries.add("the password of a proxy", &password);
    for value in ["http://user:{}@127.0.0.1:3128", "http://{}@127.0.0.1:3128", "https://127.0.0.1/{}", "{}"] {
        tour.serve_refused(&["--proxy", &value.replace("{}", &password)]);
    }
    for line in
        ["admin_token = [\"{}\"", "master_key = {}", "admin_token = {{}}", "proxy = \"x:{}\"", "log = \"{}="]
    {
        let settings = tour.folder.path().join("bad.toml");
        std::fs::write(settings, line.replace("{}", &password)).unwrap();
        tour.serve_refused(&["--config", "bad.toml"]);
    }
    tour.command(&["key", "create", "--account", "acme", "--json"], true);
    let token = std::fs::read_to_string(tour.data().join("admin.token")).unwrap();
    tour.command_refused(&["account", "list", "--token", &token.trim().to_uppercase()]);
    tour.command_refused(&["event", "send", "invoice.paid", "--account", "nobody"]);
}

/// Looks through everything; answers how many bytes that was, and what was found.
fn search(tour: &Tour) -> (usize, Vec<String>) {
    let search = tour.canaries.search();
    let mut places = tour.seen.clone();
    for file in ["log", "backup.db"] {
        places.push((format!("the file {file}"), std::fs::read(tour.folder.path().join(file)).unwrap()));
    }
    places.extend(files(&tour.data()));
    assert_planted_ones_are_found(&search, &places, tour);
    let hits = places
        .iter()
        .flat_map(|(place, bytes)| search.hits(bytes).into_iter().map(move |hit| format!("{place}: {hit}")));
    (places.iter().map(|(_, bytes)| bytes.len()).sum(), hits.collect())
}

/// The files of the data folder, except those that are there to hold a secret.
fn files(data: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let searched = entries.filter(|path| !path.ends_with("master.key") && !path.ends_with("admin.token"));
    searched.map(|path| (format!("the file {}", path.display()), std::fs::read(&path).unwrap())).collect()
}

/// The search sees a secret in each of the places, or it would prove nothing.
fn assert_planted_ones_are_found(search: &Search, places: &[(String, Vec<u8>)], tour: &Tour) {
    let secret = std::fs::read_to_string(tour.data().join("master.key")).unwrap();
    for (place, bytes) in places {
        // The end of what is long is enough, with the secret in the middle of it.
        let tail = &bytes[bytes.len().saturating_sub(1000)..];
        let (before, after) = tail.split_at(tail.len() / 2);
        let planted = [before, secret.trim().as_bytes(), after].concat();
        assert!(!search.hits(&planted).is_empty(), "{place}");
    }
}
