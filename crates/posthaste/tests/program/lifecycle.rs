//! How `serve` starts, refuses to start, and ends.

use std::time::Instant;

use crate::support::{Inbox, Server, customer, run, sentence};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_with_0_and_what_was_under_way_is_delivered_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    let mut server = Server::start(folder.path(), &inbox.flags()).await;
    customer(&server, "acme").await;
    inbox.set_open(false);
    let event = json!({"type": "invoice.paid", "account": "acme", "data": {"n": 1}});
    let event = server.admin.post("/events", &event).await.unwrap();

    crate::support::until("an attempt under way", async || {
        let metrics = server.get("/metrics").await;
        String::from_utf8_lossy(metrics.body()).contains("posthaste_in_flight 1\n").then_some(())
    })
    .await;

    let begun = began();
    server.terminate();
    assert_eq!(server.wait().await.code(), Some(0), "{}", server.log());
    assert!(begun.elapsed().as_secs() < 15);
    assert!(!folder.path().join("data/server.json").exists());

    let _restarted = Server::start(folder.path(), &inbox.flags()).await;
    inbox.set_open(true);
    let body: serde_json::Value = serde_json::from_slice(&inbox.next().await.body).unwrap();
    assert_eq!(body["id"], event["id"]);
}

#[expect(clippy::disallowed_methods, reason = "measures how long the real process takes")]
fn began() -> Instant {
    Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_the_paths_that_are_the_same_for_every_contract() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"] {
        assert_eq!(server.status(path).await, 200, "{path}");
    }
    for path in
        ["/healthz", "/metrics", "/openapi.json", "/docs", "/v1/webhooks", "/admin/v1/accounts", "/nothing"]
    {
        let answer = server.get(path).await;
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
    }
    let metrics = server.get("/metrics").await;
    assert!(String::from_utf8_lossy(metrics.body()).contains("posthaste_in_flight"));
    let openapi: serde_json::Value =
        serde_json::from_slice(server.get("/openapi.json").await.body()).unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_can_have_a_listener_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--admin-listen", "127.0.0.1:0"]).await;
    assert_eq!(server.status("/admin/v1/accounts").await, 404);
    assert_eq!(server.status("/metrics").await, 404);
    let accounts = run(folder.path(), &["account", "list", "--data-dir", "data"]);
    assert!(accounts.status.success(), "{accounts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_and_no_key_stands_in_the_log_or_is_readable_by_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::start().await;
    let mut flags = inbox.flags();
    flags.extend(["--log", "trace"]);
    let server = Server::start(folder.path(), &flags).await;
    let webhook = customer(&server, "acme").await;
    let token = std::fs::read_to_string(folder.path().join("data/admin.token")).unwrap();
    let log = server.log();
    assert!(!log.contains(token.trim()));
    assert!(!log.contains(webhook["secret"].as_str().unwrap()));
    for name in ["admin.token", "master.key"] {
        let mode = std::fs::metadata(folder.path().join("data").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_port_or_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let port = server.base.strip_prefix("http://").unwrap().to_owned();
    let same_port = run(folder.path(), &["serve", "--data", "other", "--listen", &port]);
    assert!(sentence(&same_port, 1).contains(&format!("cannot listen on {port}")), "{same_port:?}");
    assert!(!folder.path().join("other").exists());
    let same_folder = run(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    assert!(sentence(&same_folder, 1).contains("in use by another process"), "{same_folder:?}");
    assert_eq!(server.status("/readyz").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_opens_only_with_its_own_key_and_undamaged() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]).await;
    server.terminate();
    server.wait().await;
    let data = folder.path().join("data");
    let key = std::fs::read_to_string(data.join("master.key")).unwrap();
    let serve = || run(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);

    let wrong =
        crate::support::program(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"])
            .env("POSTHASTE_MASTER_KEY", "00".repeat(32))
            .output()
            .unwrap();
    assert!(sentence(&wrong, 1).contains("does not belong to the store"), "{wrong:?}");

    std::fs::remove_file(data.join("master.key")).unwrap();
    assert!(sentence(&serve(), 1).contains("master key is missing"));
    assert!(!data.join("master.key").exists());
    std::fs::write(data.join("master.key"), key).unwrap();

    let database = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let database = database.into_iter().find(|path| path.extension().is_some_and(|end| end == "db")).unwrap();
    let sound = std::fs::read(&database).unwrap();
    std::fs::write(&database, [b"no database".as_slice(), &sound[11..]].concat()).unwrap();
    assert!(sentence(&serve(), 1).contains("cannot be used"));

    // The layout's number stands at a fixed place in the head of the file.
    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&[0, 0, 0xff, 0xff]);
    std::fs::write(&database, &newer).unwrap();
    assert!(sentence(&serve(), 1).contains("later version of Posthaste"));
    assert!(std::fs::read(&database).unwrap() == newer, "nothing is written to it");

    std::fs::write(&database, sound).unwrap();
    let _restarted = Server::start(folder.path(), &[]).await;
}

#[test]
fn whatever_is_wrong_is_one_sentence_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.toml"), "contract = 1\nname = 7\n").unwrap();
    std::fs::write(folder.path().join("settings.toml"), "listen = \"nowhere\"\n").unwrap();
    for (arguments, exit, expected) in [
        (vec!["--contract", "absent.toml"], 1, "there is no such file"),
        (vec!["--contract", "broken.toml"], 1, "broken.toml:2:"),
        (vec!["--listen", "nowhere"], 2, "from the flag --listen"),
        (vec!["--config", "settings.toml"], 2, "from settings.toml:1"),
        (vec!["--config", "absent.toml"], 2, "absent.toml cannot be read"),
        (vec!["--allow-net", "0.0.0.0/0"], 2, "switch the address guard off"),
        (vec!["--ca-file", "absent.pem"], 1, "absent.pem cannot be read"),
        (vec!["--log", "=,="], 2, "no filter"),
        (vec!["--no-such-flag"], 2, "unexpected argument"),
    ] {
        let mut all = vec!["serve"];
        if !arguments.contains(&"--listen") && !arguments.contains(&"--config") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        all.extend(&arguments);
        let output = run(folder.path(), &all);
        assert!(sentence(&output, exit).contains(expected), "{arguments:?}: {output:?}");
        assert!(!folder.path().join("posthaste-data").exists(), "{arguments:?}");
    }
    for (variable, value) in [("POSTHASTE_ADMIN_TOKEN", "too-short"), ("POSTHASTE_MASTER_KEY", "nonsense")] {
        let output =
            crate::support::program(folder.path(), &["serve"]).env(variable, value).output().unwrap();
        let sentence = sentence(&output, 2);
        assert!(sentence.contains(variable) && !sentence.contains(value), "{sentence}");
    }
}
