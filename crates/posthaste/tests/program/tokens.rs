//! Named tokens and the audit log, as an operator uses them.

use std::collections::BTreeSet;

use posthaste::admin_client::AdminClient;
use posthaste_core::Secret;
use serde_json::{Value, json};

use crate::support::{Inbox, Server, customer, json_lines, run, sentence, until};

fn ask(server: &Server, arguments: &[&str]) -> Vec<Value> {
    json_lines(&told(server, arguments))
}

fn told(server: &Server, arguments: &[&str]) -> std::process::Output {
    run(&server.folder, &[arguments, &["--data-dir", "data"]].concat())
}

fn client(server: &Server, token: &Value) -> AdminClient {
    AdminClient::new(&server.admin_base, Secret::from(token["token"].as_str().unwrap().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_created_used_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::start().await;
    let mut server = Server::start(folder.path(), &inbox.flags()).await;
    customer(&server, "acme").await;
    let shop =
        ask(&server, &["token", "create", "shop", "--scope", "publish", "--expires-in", "90d"]).remove(0);
    let watch = ask(&server, &["token", "create", "watch", "--scope", "read"]).remove(0);
    assert!(shop["expires_at"].is_string() && watch["expires_at"].is_null());
    let event = json!({"type": "invoice.paid", "account": "acme", "data": {}});
    client(&server, &shop).post("/events", &event).await.unwrap();
    client(&server, &watch).get("/accounts").await.unwrap();
    for refused in [
        client(&server, &watch).post("/events", &event).await,
        client(&server, &shop).get("/accounts").await,
        client(&server, &watch).get("/audit").await,
    ] {
        assert!(refused.unwrap_err().to_string().contains("scope"));
    }
    let held = ["account", "list", "--token", watch["token"].as_str().unwrap()];
    assert_eq!(ask(&server, &held).len(), 1);
    let twice = told(&server, &["token", "create", "shop", "--scope", "full"]);
    assert!(sentence(&twice, 1).contains("exists"), "{twice:?}");
    assert_eq!(told(&server, &["token", "create", "x", "--scope", "all"]).status.code(), Some(2));
    assert_eq!(
        told(&server, &["token", "create", "x", "--scope", "full", "--expires-in", "soon"]).status.code(),
        Some(2)
    );
    ask(&server, &["token", "revoke", "shop"]);
    assert!(client(&server, &shop).post("/events", &event).await.is_err());
    assert!(sentence(&told(&server, &["token", "revoke", "shop"]), 1).contains("shop"));
    let listed = ask(&server, &["token", "list"]);
    assert!(listed.iter().all(|token| token.get("token").is_none()));
    let revoked: Vec<bool> = listed.iter().map(|token| token["revoked_at"].is_string()).collect();
    assert_eq!(revoked, [true, false]);
    ask(&server, &["token", "revoke", watch["id"].as_str().unwrap()]);
    server.terminate();
    assert!(server.wait().await.success());
    let server = Server::start(folder.path(), &inbox.flags()).await;
    let used = ask(&server, &["token", "list"]);
    assert!(used.iter().all(|token| token["last_used_at"].is_string()), "{used:?}");
    assert!(client(&server, &watch).get("/accounts").await.is_err(), "revoked also after a start");
    let completions = run(folder.path(), &["completions", "bash"]);
    let script = String::from_utf8(completions.stdout).unwrap();
    assert!(["--expires-in", "--scope", "--actor"].iter().all(|flag| script.contains(flag)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_tells_who_changed_what() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::start().await;
    let server = Server::start(folder.path(), &inbox.flags()).await;
    customer(&server, "acme").await;
    ask(&server, &["token", "create", "deploy", "--scope", "full"]);
    let rows = ask(&server, &["audit"]);
    let told: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row["action"].as_str().unwrap(), row["actor"]["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "token.created operator",
            "webhook.created api_key",
            "key.created operator",
            "account.created operator"
        ]
    );
    // The customer's own change tells the key that made it, and where it came from.
    let by_key =
        ask(&server, &["audit", "--actor", "api_key", "--account", "acme", "--since", "1h"]).remove(0);
    let key = ask(&server, &["key", "list", "--account", "acme"]).remove(0);
    assert_eq!((&by_key["actor"]["id"], &by_key["address"]), (&key["id"], &json!("127.0.0.1")));
    assert!(by_key["request_id"].is_string());
    assert_eq!(ask(&server, &["audit", "--limit", "2"]).len(), 2);
    assert_eq!(ask(&server, &["audit", "--limit", "0"]).len(), 0);
    assert_eq!(ask(&server, &["audit", "--until", "1h"]).len(), 0);
    assert_eq!(ask(&server, &["audit", "--action", "account.created"]).len(), 1);
}

/// Changes that are acknowledged when the server is killed.
const KILLED_AFTER: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_no_change_is_without_its_row_and_no_row_without_its_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]).await;
    let mut writers = tokio::task::JoinSet::new();
    let token = ask(&server, &["token", "create", "deploy", "--scope", "full"]).remove(0);
    let (tell, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    for writer in 0..4 {
        let (admin, tell) = (client(&server, &token), tell.clone());
        writers.spawn(async move {
            for number in 0.. {
                let id = format!("a-{writer}-{number}");
                if admin.post("/accounts", &json!({"id": id})).await.is_err() {
                    return;
                }
                tell.send(id).unwrap();
            }
        });
    }
    drop(tell);
    let mut known = BTreeSet::new();
    while known.len() < KILLED_AFTER {
        known.insert(acknowledged.recv().await.unwrap());
    }
    server.kill();
    while let Some(id) = acknowledged.recv().await {
        known.insert(id);
    }
    writers.join_all().await;
    let restarted = Server::start(folder.path(), &[]).await;
    let ids = |rows: Vec<Value>, pointer: &str| -> BTreeSet<String> {
        rows.iter().map(|row| row.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let accounts = ids(restarted.admin.list("/accounts", 100_000).await.unwrap(), "/id");
    let rows = restarted.admin.list("/audit?action=account.created&actor=deploy", 100_000).await.unwrap();
    assert_eq!(rows.len(), accounts.len(), "each once");
    assert_eq!(ids(rows, "/object/id"), accounts);
    assert!(known.is_subset(&accounts), "what was acknowledged is there");
    println!("counted | admin | accounts held against the audit log after kill -9 | {}", accounts.len());
    until("the token, also after the start", async || client(&restarted, &token).get("/tokens").await.ok())
        .await;
}
