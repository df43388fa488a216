//! The commands, one after the other, as an operator would use them.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Inbox, Server, customer, json_lines, program, run, sentence, until};
use http::StatusCode;
use serde_json::{Value, json};

struct Operator<'a>(&'a Server);

impl Operator<'_> {
    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut all = arguments.to_vec();
        all.extend(["--data-dir", "data"]);
        run(&self.0.folder, &all)
    }

    fn ask(&self, arguments: &[&str]) -> Vec<Value> {
        json_lines(&self.run(arguments))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let operator = Operator(&server);
    assert_eq!(operator.ask(&["account", "create", "acme", "--name", "Acme"])[0]["id"], "acme");
    assert!(sentence(&operator.run(&["account", "create", "acme"]), 1).starts_with("posthaste: "));
    assert_eq!(operator.ask(&["account", "list"])[0]["name"], "Acme");
    let key = operator.ask(&["key", "create", "--account", "acme"]).remove(0);
    assert!(key["key"].as_str().unwrap().starts_with("ph_"));
    let listed = operator.ask(&["key", "list", "--account", "acme"]).remove(0);
    assert_eq!((&listed["id"], listed.get("key")), (&key["id"], None));
    operator.ask(&["key", "revoke", key["id"].as_str().unwrap(), "--account", "acme"]);
    assert!(operator.ask(&["key", "list", "--account", "acme"])[0]["revoked_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_its_delivery_and_its_replay() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    let server = Server::start(folder.path(), &inbox.flags()).await;
    customer(&server, "acme").await;
    let operator = Operator(&server);
    let data = r#"{"big": 12345678901234567890123, "z": 1, "a": "é"}"#;
    let event =
        operator.ask(&["event", "send", "invoice.paid", "--account", "acme", "--data", data, "--id", "one"]);
    let event_id = event[0]["id"].as_str().unwrap();
    let again =
        operator.ask(&["event", "send", "invoice.paid", "--account", "acme", "--data", data, "--id", "one"]);
    assert_eq!((&again[0]["id"], &again[0]["duplicate"]), (&event[0]["id"], &Value::Bool(true)));

    let torn = operator.run(&["event", "send", "invoice.paid", "--account", "acme", "--data", "{"]);
    assert!(sentence(&torn, 2).contains("--data must be a JSON object"), "{torn:?}");

    let first = inbox.next().await;
    assert!(String::from_utf8_lossy(&first.body).contains(data.trim_matches(['{', '}'])), "{first:?}");
    let delivery = until("the record of the delivery", async || {
        operator
            .ask(&["deliveries", "--account", "acme"])
            .into_iter()
            .find(|row| row["status"] == "delivered")
    })
    .await;
    let id = delivery["id"].as_str().unwrap();
    let fate = operator.ask(&["deliveries", "--event", event_id]).remove(0);
    assert_eq!(fate["webhooks"][0]["status"], "delivered");
    let whole = operator.ask(&["deliveries", id]).remove(0);
    assert_eq!(whole["attempts"][0]["response"]["headers"]["content-length"], "0", "{whole}");

    operator.ask(&["replay", id]);
    assert_eq!(inbox.next().await.body, first.body);
    assert_eq!(operator.run(&["replay", "dlv_nonsense"]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    customer(&server, "acme").await;
    let send = |text: &str| {
        let mut child = program(folder.path(), &["event", "send", "--batch"])
            .env("POSTHASTE_DATA", "data")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let good = "{\"type\":\"a.b\",\"account\":\"acme\",\"data\":{}}\n".repeat(1_500);
    assert_eq!(json_lines(&send(&good)).len(), 1_500);
    let bad = "{\"type\":\"a.b\",\"account\":\"nobody\",\"data\":{}}\n";
    assert_eq!(send(bad).status.code(), Some(1));
    let mixed = send(&format!("{good}{bad}"));
    assert_eq!(mixed.status.code(), Some(4), "{mixed:?}");
    let last: Value =
        serde_json::from_slice(mixed.stdout.split(|byte| *byte == b'\n').nth(1_500).unwrap()).unwrap();
    assert!(!last["error"].is_null(), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_counted_and_then_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let mut inbox = Inbox::start().await;
    // A contract that tries once, so that a failure is final at once.
    let standard = posthaste_contract::builtin::text("standard").unwrap();
    let delays = standard.lines().find(|line| line.trim_start().starts_with("delays")).unwrap();
    std::fs::write(folder.path().join("once.toml"), standard.replace(delays, "delays = []")).unwrap();
    let mut flags = inbox.flags();
    flags.extend(["--contract", "once.toml"]);
    let server = Server::start(folder.path(), &flags).await;
    customer(&server, "acme").await;
    let operator = Operator(&server);
    inbox.answer_with(StatusCode::INTERNAL_SERVER_ERROR);
    operator.ask(&["event", "send", "invoice.paid", "--account", "acme"]);
    inbox.next().await;
    let asked = ["recover", "--account", "acme", "--since", "1h"];
    until("the failure on record", async || {
        let found = operator.ask(&[&asked[..], &["--dry-run"]].concat());
        (found[0]["count"] == 1).then_some(())
    })
    .await;
    let unconfirmed = operator.run(&asked);
    assert!(sentence(&unconfirmed, 1).contains("1 failed deliveries were not repeated"));
    inbox.answer_with(StatusCode::OK);
    assert_eq!(operator.ask(&[&asked[..], &["--yes"]].concat())[0]["count"], 1);
    inbox.next().await;

    inbox.answer_with(StatusCode::GONE);
    operator.ask(&["event", "send", "invoice.paid", "--account", "acme"]);
    inbox.next().await;
    let left_out = until("the webhook to be switched off", async || {
        let output = operator.run(&[&asked[..], &["--dry-run"]].concat());
        (output.status.code() == Some(4)).then_some(output)
    })
    .await;
    assert!(sentence(&left_out, 4).contains("is switched off and left out; resume it first"));
    server.admin.post("/accounts", &serde_json::json!({"id": "other"})).await.unwrap();
    assert_eq!(operator.ask(&["recover", "--account", "other", "--since", "1h", "--dry-run"])[0]["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_running_server_verifies_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]).await;
    customer(&server, "acme").await;
    let operator = Operator(&server);
    operator.ask(&["backup", "copy.db"]);
    let again = operator.run(&["backup", "copy.db"]);
    assert!(sentence(&again, 1).contains("copy.db is there already"), "{again:?}");
    assert_eq!(operator.ask(&["verify"])[0]["sound"], true);
    assert_eq!(operator.ask(&["verify", "copy.db"])[0]["sound"], true);
    assert_eq!(operator.run(&["verify", "absent.db"]).status.code(), Some(1));
    server.kill();

    let restored = folder.path().join("restored");
    restore(folder.path(), &restored);
    let again = Server::start(&restored, &[]).await;
    assert_eq!(again.admin.get("/accounts/acme").await.unwrap()["id"], "acme");
}

/// A store of its own from the backup `copy.db`.
fn restore(folder: &Path, to: &Path) {
    let data = to.join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::copy(folder.join("copy.db"), data.join("posthaste.db")).unwrap();
    std::fs::copy(folder.join("data/master.key"), data.join("master.key")).unwrap();
}

/// A command that opens the store sends nothing, so the store is a copy still; a server makes it the store.
#[tokio::test(flavor = "multi_thread")]
async fn a_young_copy_that_a_command_opened_sends_nothing_unasked_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]).await;
    let webhook = customer(&server, "acme").await;
    Operator(&server).ask(&["backup", "copy.db"]);
    server.kill();
    for (is_served, expected) in [(false, "held"), (true, "running")] {
        let place = folder.path().join(expected);
        restore(folder.path(), &place);
        json_lines(&run(&place, &["secrets", "rotate", "--data-dir", "data"]));
        if is_served {
            Server::start(&place, &[]).await.kill();
        }
        let store = rusqlite::Connection::open(place.join("data/posthaste.db")).unwrap();
        let two_hours_later = "UPDATE meta SET value = value - 7200000 WHERE key = 'copied_ms'";
        assert_eq!(store.execute(two_hours_later, []).unwrap(), usize::from(!is_served));
        drop(store);
        // Whoever opens the store with another program takes its log away.
        std::fs::remove_file(place.join("data/posthaste.lock")).unwrap();
        let late = Server::start(&place, &[]).await;
        assert_eq!(late.admin.get("/sending").await.unwrap()["state"], expected);
        if !is_served {
            let test = format!("/accounts/acme/webhooks/{}/test", webhook["id"].as_str().unwrap());
            let tested = late.admin.post(&test, &json!({})).await.unwrap();
            assert_eq!(tested["error"], "sending_held", "{tested}");
            assert!(tested["message"].as_str().unwrap().contains("Sending is held"), "{tested}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_written_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path(), &[]).await;
    let refused = run(folder.path(), &["backup", "--data-dir", "data", "nowhere/copy.db"]);
    let sentence = sentence(&refused, 1);
    let expected = "posthaste: the backup nowhere/copy.db could not be written: No such file";
    assert!(sentence.starts_with(expected) && sentence.matches("copy.db").count() == 1, "{sentence}");
}

#[test]
fn a_server_that_is_not_there_is_3() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["account", "list"]);
    assert!(sentence(&output, 3).contains("posthaste serve"), "{output:?}");
    let token = "0".repeat(32);
    let output =
        run(folder.path(), &["account", "list", "--server", "http://127.0.0.1:1", "--token", &token]);
    assert!(sentence(&output, 3).contains("nothing answers at 127.0.0.1:1"), "{output:?}");
}

#[test]
fn check_names_line_column_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let standard = posthaste_contract::builtin::text("standard").unwrap();
    let broken = standard.replacen("views.webhook]", "views.webhok]", 1);
    std::fs::write(folder.path().join("broken.toml"), &broken).unwrap();
    std::fs::write(folder.path().join("sound.toml"), standard).unwrap();
    let output = run(folder.path(), &["check", "broken.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let place =
        broken.lines().position(|line| line.contains("view") && line.contains("\"webhook\"")).unwrap() + 1;
    let expected = format!("broken.toml:{place}:");
    let finding = text.lines().find(|line| line.starts_with(&expected)).unwrap_or_else(|| panic!("{text}"));
    assert!(finding.contains("did you mean `webhok`"), "{finding}");
    let findings = run(folder.path(), &["check", "broken.toml", "--json"]).stdout;
    for line in String::from_utf8(findings).unwrap().lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        assert!(
            finding["line"].as_u64().unwrap() > 0 && finding["column"].as_u64().unwrap() > 0,
            "{finding}"
        );
    }
    assert!(run(folder.path(), &["check", "sound.toml"]).status.success());
    assert_eq!(run(folder.path(), &["check", "absent.toml"]).status.code(), Some(1));
}

#[test]
fn documents_and_completions_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    for contract in posthaste_contract::builtin::names() {
        let output = run(folder.path(), &["openapi", "--contract", contract]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document["webhooks"].is_object(), "{contract}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = run(folder.path(), &["completions", shell]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{shell}");
    }
    for arguments in [&["--help"][..], &["serve", "--help"], &["event", "send", "--help"]] {
        assert!(run(folder.path(), arguments).status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_judges_what_arrives() {
    use std::io::{BufRead as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let standard = posthaste_contract::Contract::builtin("standard").unwrap();
    let secret = standard.new_secret(&posthaste::outside::SystemDice::default());
    let arguments =
        ["listen", "--listen", "127.0.0.1:0", "--status", "503", "--secret", secret.expose_text()];
    let mut child =
        program(folder.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let greeting = errors.next().unwrap().unwrap();
    let base = greeting.split(' ').next_back().unwrap().to_owned();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    for (body, verified) in
        [("{\"id\":\"evt_1\",\"type\":\"a.b\"}", true), ("{\"id\":\"evt_2\",\"type\":\"a.b\"}", false)]
    {
        let answer =
            posthaste::http_client::send(signed(&standard, &secret, &base, body, verified)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let line: Value = serde_json::from_str(&printed.next().unwrap().unwrap()).unwrap();
        assert_eq!(
            (&line["verified"], &line["event_type"]),
            (&Value::Bool(verified), &Value::from("a.b")),
            "{line}"
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn listen_refuses_what_could_never_work() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, named) in [
        (["--forward", "https://127.0.0.1:1/"], "no http:// address"),
        (["--forward", "somewhere"], "no http:// address"),
        (["--secret", "z?"], "no signing secret of the contract standard"),
    ] {
        let output = run(folder.path(), &["listen", "--listen", "127.0.0.1:0", arguments[0], arguments[1]]);
        assert!(sentence(&output, 2).contains(named), "{output:?}");
    }
}

/// A delivery by the contract; one that is not to verify gets another body after it was signed.
fn signed(
    contract: &posthaste_contract::Contract,
    secret: &posthaste_core::Secret,
    url: &str,
    body: &str,
    is_good: bool,
) -> http::Request<bytes::Bytes> {
    use posthaste_core::Clock as _;
    let facts = posthaste_contract::SigningFacts {
        webhook_id: "wh_1",
        url,
        event_id: "evt_1",
        event_type: "a.b",
        account_id: "acme",
        delivery_id: "dlv_1",
        attempt_number: 1,
        at: posthaste::outside::SystemClock.now(),
        body: body.as_bytes(),
    };
    let values = contract.signature_values(&facts, &[secret]);
    let mut request = http::Request::post(format!("{url}/hook"));
    for (name, value) in contract.delivery_headers(&facts, &values) {
        request = request.header(name, value);
    }
    let sent = if is_good { body.to_owned() } else { format!("{body} ") };
    request.body(sent.into()).unwrap()
}
