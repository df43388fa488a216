//! A server that may reach this host, and customers with webhooks wherever a test wants them.

use std::path::Path;

use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::authority::Authority;
use super::tls_rows::trusted;
use crate::support::Server;

/// The time limit of an attempt.
pub const LIMIT_MS: u64 = 2_000;

/// What a server needs to run that contract and to reach this host.
pub const FLAGS: [&str; 5] = ["--contract", "hostile.toml", "--allow-http", "--allow-net", "127.0.0.0/8"];

/// Posthaste's own contract with short attempts, plain HTTP, and one retry that no test lives to see.
pub fn contract(folder: &Path, changes: &[(&str, &str)]) {
    let mut text = posthaste_contract::builtin::text("standard").unwrap().to_owned();
    let limit = format!("timeout      = \"{LIMIT_MS}ms\"");
    let delays = format!("delays      = [\"{}s\"]", super::waits::SCHEDULED);
    let usual = [
        ("timeout      = \"15s\"", limit.as_str()),
        ("schemes = [\"https\"]", "schemes = [\"https\", \"http\"]"),
        ("jitter      = 0.1", "jitter      = 0.0"),
        (
            "delays      = [\"5s\", \"5m\", \"30m\", \"2h\", \"5h\", \"10h\", \"14h\", \"20h\", \"24h\"]",
            &delays,
        ),
    ];
    for (from, to) in usual.iter().chain(changes) {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    std::fs::write(folder.join("hostile.toml"), text).unwrap();
}

/// Starts the server under that contract. Names lead where `connect_to` says, and the authority is trusted.
pub async fn start(folder: &Path, authority: &Authority, connect_to: &[String]) -> Server {
    start_with(folder, authority, connect_to, &["--log", "debug"]).await
}

/// The same with further flags.
pub async fn start_with(
    folder: &Path,
    authority: &Authority,
    connect_to: &[String],
    further: &[&str],
) -> Server {
    std::fs::write(folder.join("roots.pem"), trusted(authority)).unwrap();
    let mut flags = FLAGS.to_vec();
    flags.extend(["--ca-file", "roots.pem"]);
    flags.extend(further);
    flags.extend(connect_to.iter().flat_map(|entry| ["--connect-to", entry]));
    Server::start(folder, &flags).await
}

/// A customer who may create webhooks.
pub struct Customer {
    key: String,
}

impl Customer {
    /// An account with a key.
    pub async fn new(server: &Server, account: &str) -> Self {
        server.admin.post("/accounts", &json!({"id": account})).await.unwrap();
        let key = server.admin.post(&format!("/accounts/{account}/keys"), &json!({})).await.unwrap();
        Self { key: key["key"].as_str().unwrap().to_owned() }
    }

    /// Creates a webhook; gives back its id.
    pub async fn webhook(&self, server: &Server, url: &str, events: &str) -> String {
        let request = Request::post(format!("{}/v1/webhooks", server.base))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(json!({"url": url, "events": [events]}).to_string().into())
            .unwrap();
        let answer = posthaste::http_client::send(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{url}: {:?}", answer.body());
        let webhook: Value = serde_json::from_slice(answer.body()).unwrap();
        webhook["id"].as_str().unwrap().to_owned()
    }
}
