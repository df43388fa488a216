//! The master key is changed under the feet of a running server.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use posthaste::outside::SystemClock;
use posthaste_contract::Contract;
use posthaste_core::{Clock as _, Secret, Subscription};
use posthaste_store::{Embedded, NewAccount, NewKey, NewWebhook, Options, Store, WebhookLimits, verify};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{HOST, Inbox, Server, customer, json_lines, program, run, sentence, until};

/// So many that sealing them anew takes a while.
const WEBHOOKS: usize = 4_000;
const KEYS: usize = 400;
/// Kills that must have happened while a rotation was under way.
const KILLS_IN_THE_MIDDLE: usize = 20;
const KILLS_MAX: usize = 80;

fn open(data: &Path) -> Arc<Embedded> {
    Embedded::open(data, None, Options::default(), Arc::new(SystemClock)).unwrap()
}

fn secret_of(at: usize) -> Secret {
    Secret::from(format!("the secret of {at:05}, which is to stay"))
}

fn key_of(at: usize) -> Secret {
    Secret::from(format!("ph_the_key_{at:05}_which_is_to_stay"))
}

/// An account with many webhooks and keys, in a store that no server has open.
async fn populate(data: &Path) {
    let store = open(data);
    let now = SystemClock.now();
    let account = NewAccount { id: "many".to_owned(), name: None };
    let account = store.create_account(account, now.into()).await.unwrap().no;
    let mut tasks = JoinSet::new();
    for at in 0..WEBHOOKS {
        let url = format!("https://{HOST}/many/{at}");
        let new = NewWebhook {
            id: format!("wh_many{at:05}"),
            account,
            key: None,
            canonical_url: url.clone(),
            url,
            subscription: Subscription::All,
            description: None,
            extension: BTreeMap::new(),
            secret: secret_of(at),
        };
        let store = store.clone();
        tasks.spawn(async move {
            store.create_webhook(new, WebhookLimits::default(), now.into()).await.map(|_| ()).unwrap();
        });
    }
    for at in 0..KEYS {
        let new = NewKey {
            id: format!("key_many{at:05}"),
            account,
            key: key_of(at),
            signing_secret: Some(secret_of(at)),
            tier: None,
            roles: vec![],
            scopes: vec![],
            description: None,
            expires_at: None,
        };
        let store = store.clone();
        tasks.spawn(async move { store.create_key(new, now.into()).await.map(|_| ()).unwrap() });
    }
    tasks.join_all().await;
    store.close().await;
}

/// Opens the store as a server would, which ends what was begun, and looks at every secret.
async fn assert_whole(data: &Path) {
    let store = open(data);
    until("the end of the rotation", async || {
        assert_eq!(store.health(), Ok(()));
        store.seals().await.unwrap().rotation.is_none().then_some(())
    })
    .await;
    let account = store.account("many").await.unwrap().unwrap().no;
    let webhooks = store.webhooks(account, None, None, WEBHOOKS).await.unwrap().items;
    let mut whole = 0;
    for webhook in &webhooks {
        let at: usize = webhook.id.trim_start_matches("wh_many").parse().unwrap();
        whole += usize::from(webhook.secrets.current == secret_of(at));
    }
    for at in 0..KEYS {
        let key = store.find_key(&key_of(at)).await.unwrap().unwrap();
        whole += usize::from(key.signing_secret == Some(secret_of(at)));
    }
    assert_eq!(whole, WEBHOOKS + KEYS, "secrets that are what they were");
    store.close().await;
    drop(store);
    assert_eq!(keys_in_file(data), 1);
}

fn keys_in_file(data: &Path) -> usize {
    std::fs::read_to_string(data.join("master.key")).unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_a_rotation_loses_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    populate(&data).await;
    let (mut kills, mut in_the_middle) = (0, 0);
    while in_the_middle < KILLS_IN_THE_MIDDLE && kills < KILLS_MAX {
        if kills % 2 == 0 {
            kill_after_so_many_are_sealed_anew(folder.path(), kills * 150 % WEBHOOKS).await;
        } else {
            kill_while_it_starts(folder.path(), Duration::from_millis(kills as u64 * 13 % 200)).await;
        }
        kills += 1;
        let is_in_the_middle = keys_in_file(&data) == 2;
        in_the_middle += usize::from(is_in_the_middle);
        if kills % 4 == 0 {
            assert_whole(&data).await;
        }
    }
    assert!(in_the_middle >= KILLS_IN_THE_MIDDLE, "{in_the_middle} of {kills}");
    assert_whole(&data).await;
    let report = verify(&data, None).unwrap();
    assert!(report.problems.is_empty() && report.has_tried_seals, "{report:?}");
    println!("counted | secrets | kill -9 around rotations of the master key | {kills}");
    println!("counted | secrets | kill -9 in the middle of a rotation | {in_the_middle}");
}

async fn kill_after_so_many_are_sealed_anew(folder: &Path, enough: usize) {
    let mut server = Server::start(folder, &[]).await;
    // Refused while one goes on that was cut off.
    let _ = server.admin.post("/secrets/rotate", &json!({})).await;
    until("progress", async || {
        let seals = server.admin.get("/secrets").await.unwrap();
        let is_enough = seals["key"]["secrets"].as_u64().unwrap() >= enough as u64;
        (is_enough || seals["state"] == "settled").then_some(())
    })
    .await;
    server.kill();
}

/// At a moment that nothing decides: before the store is open, or while the rotation goes on.
async fn kill_while_it_starts(folder: &Path, after: Duration) {
    let mut serve = program(folder, &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    let mut child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(after).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A customer with a key, and what its deliveries are verified with.
struct Watched {
    key: String,
    url: String,
    secret: Secret,
    contract: Contract,
}

impl Watched {
    async fn new(server: &Server) -> Self {
        let webhook = customer(server, "acme").await;
        let key = server.admin.post("/accounts/acme/keys", &json!({})).await.unwrap();
        Self {
            key: key["key"].as_str().unwrap().to_owned(),
            url: webhook["url"].as_str().unwrap().to_owned(),
            secret: Secret::from(webhook["secret"].as_str().unwrap().to_owned()),
            contract: Contract::builtin("standard").unwrap(),
        }
    }

    /// Takes so many deliveries and verifies each.
    async fn verify(&self, inbox: &mut Inbox, count: usize) -> usize {
        for _ in 0..count {
            let arrival = inbox.next().await;
            let headers = arrival.header_pairs();
            let now = SystemClock.now();
            let verdict =
                self.contract.verify_delivery(&headers, &self.url, &arrival.body, &self.secret, now);
            assert!(verdict.is_ok(), "{:?}", verdict.err());
        }
        count
    }

    async fn key_works(&self, server: &Server) -> bool {
        let request = http::Request::get(format!("{}/v1/webhooks", server.base))
            .header("authorization", format!("Bearer {}", self.key))
            .body(bytes::Bytes::new())
            .unwrap();
        posthaste::http_client::send(request).await.unwrap().status() == StatusCode::OK
    }
}

/// Publishes until it is aborted.
fn publish(server: &Server, published: Arc<AtomicUsize>) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    for _ in 0..4 {
        let token =
            posthaste::data_folder::DataFolder::at(server.folder.join("data")).token().unwrap().unwrap();
        let admin = posthaste::admin_client::AdminClient::new(&server.base, token);
        let published = published.clone();
        publishers.spawn(async move {
            let event = json!({"type": "invoice.paid", "account": "acme", "data": {"n": 1}});
            while admin.post("/events", &event).await.is_ok() {
                published.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    publishers
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_signature_is_right_and_keys_go_on_working() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    populate(&data).await;
    let mut inbox = Inbox::start().await;
    let mut server = Server::start(folder.path(), &inbox.flags()).await;
    let watched = Watched::new(&server).await;
    let published = Arc::new(AtomicUsize::new(0));
    let publishers = publish(&server, published.clone());
    let mut verified = watched.verify(&mut inbox, 50).await;
    a_backup_from_the_middle_needs_both_keys(&server, folder.path()).await;
    let first_key = std::fs::read_to_string(data.join("master.key")).unwrap();
    let before = server.admin.get("/secrets").await.unwrap();
    assert_eq!((&before["state"], &before["former_key"]), (&json!("settled"), &Value::Null));

    let log = LogHeld::by_a_reader(&data);
    let begun = server.admin.post("/secrets/rotate", &json!({})).await.unwrap();
    assert_eq!((&begun["state"], &begun["former_key"]["id"]), (&json!("rotating"), &before["key"]["id"]));
    let again = server.admin.post("/secrets/rotate", &json!({})).await.unwrap_err();
    assert!(again.sentence.contains("rotated already"), "{again}");
    assert_eq!(keys_in_file(&data), 2);
    let keeping =
        run(folder.path(), &["secrets", "rotate", "--data-dir", "data", "--keep-former", "kept.key"]);
    assert!(sentence(&keeping, 1).contains("under way already"), "{keeping:?}");
    assert!(!folder.path().join("kept.key").exists());
    drop(log);
    verified += watched.verify(&mut inbox, 50).await;
    let after = settled(&server).await;
    assert!(after["key"]["id"] != before["key"]["id"] && after["key"]["since"].is_string(), "{after}");
    assert!(watched.key_works(&server).await);
    verified += watched.verify(&mut inbox, 100).await;
    drop(publishers);
    server.kill();

    let second_key = std::fs::read_to_string(data.join("master.key")).unwrap();
    assert!(second_key != first_key && second_key.lines().count() == 1);
    let old = program(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"])
        .env("POSTHASTE_MASTER_KEY", first_key.trim())
        .output()
        .unwrap();
    assert!(sentence(&old, 1).contains("does not belong to the store"), "{old:?}");
    let restarted = Server::start(folder.path(), &inbox.flags()).await;
    assert!(watched.key_works(&restarted).await);
    let event = json!({"type": "invoice.paid", "account": "acme", "data": {"n": 2}});
    restarted.admin.post("/events", &event).await.unwrap();
    verified += watched.verify(&mut inbox, 1).await;
    for key in [first_key.trim(), second_key.trim()] {
        assert!(!restarted.log().contains(key));
    }
    println!("counted | secrets | deliveries verified around a rotation under load | {verified}");
}

/// Somebody reads a state of the store from before, so that no rotation ends meanwhile.
struct LogHeld(#[expect(dead_code, reason = "held")] rusqlite::Connection);

impl LogHeld {
    fn by_a_reader(data: &Path) -> Self {
        let reader = rusqlite::Connection::open(data.join("posthaste.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM webhooks").unwrap();
        Self(reader)
    }
}

/// A backup from the middle of a rotation opens with both keys and with neither alone. A rotation is soon over, and
/// `backup` begins when it gets to it: one of several is met.
async fn a_backup_from_the_middle_needs_both_keys(server: &Server, folder: &Path) {
    const ROTATIONS_MAX: usize = 50;
    for number in 0..ROTATIONS_MAX {
        let former = std::fs::read_to_string(folder.join("data/master.key")).unwrap();
        server.admin.post("/secrets/rotate", &json!({})).await.unwrap();
        let kept = std::fs::read_to_string(folder.join("data/master.key")).unwrap();
        let file = format!("middle-{number}.db");
        let told = json_lines(&run(folder, &["backup", &file, "--data-dir", "data"]));
        settled(server).await;
        if told[0]["needs_both_keys"] == false {
            continue;
        }
        let verify = |keys: &str| {
            let mut verify = program(folder, &["verify", &file, "--json"]);
            verify.env("POSTHASTE_MASTER_KEY", keys.trim().replace('\n', ",")).output().unwrap()
        };
        assert_eq!(json_lines(&verify(&kept))[0]["secrets_opened"], true);
        let half = verify(&former);
        assert!(sentence(&half, 1).contains("both keys are needed"), "{half:?}");
        return;
    }
    panic!("no backup was made in one of {ROTATIONS_MAX} rotations");
}

/// Waits for the end of a rotation; answers what is told of the keys then.
async fn settled(server: &Server) -> Value {
    until("the end of the rotation", async || {
        let seals = server.admin.get("/secrets").await.unwrap();
        (seals["state"] == "settled").then_some(seals)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_works_with_a_server_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let rotate =
        |more: &[&str]| run(folder.path(), &[&["secrets", "rotate", "--data-dir", "data"], more].concat());
    let nothing = rotate(&[]);
    assert!(sentence(&nothing, 3).contains("holds no store"), "{nothing:?}");
    let mut server = Server::start(folder.path(), &[]).await;
    customer(&server, "acme").await;
    let key = || std::fs::read_to_string(folder.path().join("data/master.key")).unwrap();
    let first = key();
    let told = rotate(&["--keep-former", "former.key"]);
    assert_eq!(json_lines(&told)[0]["state"], "settled");
    assert!(String::from_utf8_lossy(&told.stderr).contains("open only with the former master key"));
    assert_eq!(std::fs::read_to_string(folder.path().join("former.key")).unwrap(), first);
    let refused = rotate(&["--keep-former", "former.key"]);
    assert!(sentence(&refused, 1).contains("former.key"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("former.key")).unwrap(), first, "as it was");
    let second = key();
    let shown = json_lines(&run(folder.path(), &["secrets", "show", "--data-dir", "data"]));
    assert_eq!(shown[0]["key"]["secrets"], 2);
    server.kill();
    json_lines(&rotate(&[]));
    let third = key();
    assert!(first != second && second != third && third.lines().count() == 1);
    assert_eq!(json_lines(&run(folder.path(), &["verify", "data"]))[0]["secrets_opened"], true);
}

/// How long the files may get that the program writes, in blocks of `ulimit`: from too short for a start to long enough
/// for a rotation to begin.
const FILE_BLOCKS: std::ops::RangeInclusive<u32> = 40..=160;

/// A commit that fails after the new key is in its file is told as a refusal, and the next start goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_former_key_is_kept_wherever_a_rotation_fails_that_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]).await;
    customer(&server, "acme").await;
    server.kill();
    // After this the log is empty, and a limit is one on what a rotation writes.
    json_lines(&run(folder.path(), &["secrets", "rotate", "--data-dir", "data"]));
    json_lines(&run(folder.path(), &["backup", "early.db", "--data-dir", "data"]));
    let former = std::fs::read_to_string(folder.path().join("data/master.key")).unwrap();
    let (mut untouched, mut begun) = (0, 0);
    for blocks in FILE_BLOCKS.step_by(8) {
        let tried = folder.path().join(format!("with-{blocks}"));
        copy_folder(&folder.path().join("data"), &tried.join("data"));
        let refused = rotate_limited(&tried, blocks);
        assert!(!sentence(&refused, 1).is_empty(), "{blocks}: {refused:?}");
        if std::fs::read_to_string(tried.join("data/master.key")).unwrap() == former {
            assert!(!tried.join("kept.key").exists(), "{blocks}: it is in the way of the next try");
            untouched += 1;
            continue;
        }
        begun += 1;
        json_lines(&run(&tried, &["secrets", "rotate", "--data-dir", "data"]));
        let kept = std::fs::read_to_string(tried.join("kept.key")).unwrap_or_default();
        assert_eq!(kept, former, "{blocks}: {refused:?}");
    }
    assert!(untouched > 0 && begun > 0, "{untouched} {begun}");
    let mut verify = program(folder.path(), &["verify", "early.db", "--json"]);
    let opened = verify.env("POSTHASTE_MASTER_KEY", former.trim()).output().unwrap();
    assert_eq!(json_lines(&opened)[0]["secrets_opened"], true);
    println!("counted | secrets | rotations that failed after the new key was in its file | {begun}");
}

/// `secrets rotate` where no file may get longer than this.
fn rotate_limited(folder: &Path, blocks: u32) -> Output {
    let program = env!("CARGO_BIN_EXE_posthaste");
    let script =
        format!("ulimit -f {blocks}; exec '{program}' secrets rotate --data-dir data --keep-former kept.key");
    Command::new("sh").arg("-c").arg(script).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Who hands the key in rotates it by handing in two.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_from_outside_is_rotated_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = ("ab".repeat(32), "cd".repeat(32));
    let with = |keys: &str, arguments: &[&str]| {
        let mut command = program(folder.path(), &[arguments, &["--data-dir", "data"]].concat());
        command.env("POSTHASTE_MASTER_KEY", keys).output().unwrap()
    };
    let mut server = Server::start_with_key(folder.path(), &first).await;
    customer(&server, "acme").await;
    let refused = server.admin.post("/secrets/rotate", &json!({})).await.unwrap_err();
    assert!(refused.sentence.contains("POSTHASTE_MASTER_KEY=NEW,FORMER"), "{refused}");
    assert_eq!(server.admin.get("/secrets").await.unwrap()["key_from"], "environment");
    server.kill();
    let keeping = with(&first, &["secrets", "rotate", "--keep-former", "former.key"]);
    assert!(sentence(&keeping, 1).contains("POSTHASTE_MASTER_KEY=NEW,FORMER"), "{keeping:?}");
    assert!(!folder.path().join("former.key").exists());
    let offline = with(&first, &["secrets", "rotate"]);
    assert!(sentence(&offline, 1).contains("POSTHASTE_MASTER_KEY=NEW,FORMER"), "{offline:?}");
    let both = format!("{second},{first}");
    let mut server = Server::start_with_key(folder.path(), &both).await;
    settled(&server).await;
    server.kill();
    let verify = |keys: &str| {
        let mut verify = program(folder.path(), &["verify", "data"]);
        verify.env("POSTHASTE_MASTER_KEY", keys).output().unwrap()
    };
    assert!(sentence(&verify(&first), 1).contains("does not belong"));
    assert_eq!(json_lines(&verify(&second))[0]["secrets_opened"], true);
    assert!(!folder.path().join("data/master.key").exists());
    // And back, without a server.
    json_lines(&with(&format!("{first} {second}"), &["secrets", "rotate"]));
    assert_eq!(json_lines(&verify(&first))[0]["secrets_opened"], true);
}
