//! The embedded store as files: what it makes, what it refuses, what it keeps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{AccountNo, Audience, Clock, EventBody, Secret, Seq, Subscription, UnixMs, WebhookNo};
use posthaste_store::{
    Embedded, EventDraft, MasterKeys, NewAccount, NewKey, NewWebhook, OpenError, Options, RecordBatch, Spill,
    Store, StoreError, WebhookLimits, verify,
};
use rusqlite::Connection;
use tokio::task::JoinSet;

const NOW: UnixMs = UnixMs(1_800_000_000_000);

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn open(dir: &Path) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(dir, None, Options::default(), Arc::new(Fixed))
}

fn refusal(dir: &Path) -> OpenError {
    open(dir).err().expect("the store must not open")
}

async fn publish(store: &Embedded, text: &'static str) -> Seq {
    publish_at(store, Audience::Broadcast, text, NOW).await
}

async fn publish_at(store: &Embedded, audience: Audience, text: &'static str, now: UnixMs) -> Seq {
    let draft = EventDraft {
        audience,
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: None,
        test_by: None,
    };
    let body = || EventBody {
        bytes: Bytes::from_static(text.as_bytes()),
        data: 0..u32::try_from(text.len()).unwrap(),
        account_at: None,
    };
    store.publish(vec![draft], &|_, _, _| body(), now).await.unwrap()[0].unwrap().seq
}

async fn account(store: &Embedded) -> AccountNo {
    store.create_account(NewAccount { id: "acme".into(), name: None }, NOW.into()).await.unwrap().no
}

async fn webhook(store: &Embedded, account: AccountNo, id: &str) -> posthaste_core::Webhook {
    let new = NewWebhook {
        id: id.to_owned(),
        account,
        key: None,
        url: format!("https://{id}.example/"),
        canonical_url: format!("https://{id}.example/"),
        subscription: Subscription::All,
        description: None,
        extension: BTreeMap::new(),
        secret: Secret::from(format!("canary of {id}")),
    };
    store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap()
}

/// The files of a store that was closed, changed as a program that knows SQLite would.
fn tamper(dir: &Path, sql: &str) {
    Connection::open(dir.join("posthaste.db")).unwrap().execute_batch(sql).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path()).unwrap();
    let account_no = account(&store).await;
    let webhook = webhook(&store, account_no, "a").await;
    let seq = publish(&store, "{\"a\":1}").await;
    let key = posthaste_core::DeliveryKey { event: seq, webhook: webhook.no };
    let spills = vec![Spill { key, due_at: NOW, chain: None }];
    let batch = RecordBatch { spills, checkpoint: Some(seq), ..RecordBatch::default() };
    store.record(batch).await.unwrap();
    // What the disk holds while the process still runs is what a kill leaves.
    copy_folder(dir.path(), image.path());
    let after = open(image.path()).unwrap();
    assert_eq!(after.event(seq).await.unwrap().unwrap().body.bytes, "{\"a\":1}");
    assert!(*after.roster().get(webhook.no).unwrap() == webhook);
    assert_eq!(after.pending_heads().await.unwrap(), [(webhook.no, NOW)]);
    assert_eq!(after.checkpoint().await.unwrap(), seq);
    assert_eq!(after.id_key(), store.id_key());
    assert!(publish(&after, "{}").await > seq);
}

#[tokio::test]
async fn a_young_store_whose_log_is_gone_does_not_begin_anew() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path()).unwrap();
    publish(&store, "{}").await;
    copy_folder(dir.path(), image.path());
    std::fs::remove_file(image.path().join("posthaste.db-wal")).unwrap();
    for _ in 0..2 {
        assert!(matches!(refusal(image.path()), OpenError::Lost(_)));
    }
    std::fs::copy(dir.path().join("posthaste.db-wal"), image.path().join("posthaste.db-wal")).unwrap();
    assert_eq!(open(image.path()).unwrap().events_after(Seq(0), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn dropped_without_a_word_it_opens_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let store = open(dir.path()).unwrap();
        publish(&store, "{}").await;
    }
    let store = open(dir.path()).unwrap();
    assert_eq!(store.events_after(Seq(0), 9).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_place_is_not_given_twice_though_its_event_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let audience = Audience::Account(account(&store).await);
    let last = publish_at(&store, audience, "{}", NOW).await;
    store.delete_account("acme", NOW.into()).await.unwrap();
    while store.tidy(UnixMs(0), false, NOW).await.unwrap() {}
    assert!(store.event(last).await.unwrap().is_none());
    drop(store);
    let store = open(dir.path()).unwrap();
    assert!(publish_at(&store, Audience::Broadcast, "{}", UnixMs(0)).await > last);
}

#[tokio::test]
async fn after_closing_every_verb_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.close().await;
    store.close().await;
    assert!(store.health().is_err());
    let write = store.create_account(NewAccount { id: "a".into(), name: None }, NOW.into()).await;
    assert!(matches!(write, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.account("a").await, Err(StoreError::Unavailable(_))));
}

#[test]
fn files_are_for_their_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep/data");
    let _store = open(&dir).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path()).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::InUse(_)));
}

#[tokio::test]
async fn the_key_must_be_the_stores_own() {
    let dir = tempfile::tempdir().unwrap();
    let given = || MasterKeys::from_text(&"ab".repeat(32));
    open(dir.path()).unwrap().close().await;
    let database = std::fs::read(dir.path().join("posthaste.db")).unwrap();
    let other = Embedded::open(dir.path(), given(), Options::default(), Arc::new(Fixed)).err();
    assert!(matches!(other, Some(OpenError::WrongKey(_))));
    std::fs::write(dir.path().join("master.key"), "short").unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::KeyUnreadable(_)));
    std::fs::remove_file(dir.path().join("master.key")).unwrap();
    let missing = refusal(dir.path());
    assert!(
        matches!(missing, OpenError::KeyMissing(_)) && missing.to_string().contains("POSTHASTE_MASTER_KEY")
    );
    assert!(!dir.path().join("master.key").exists());
    assert_eq!(std::fs::read(dir.path().join("posthaste.db")).unwrap(), database);
    let own = tempfile::tempdir().unwrap();
    drop(Embedded::open(own.path(), given(), Options::default(), Arc::new(Fixed)).unwrap());
    assert!(!own.path().join("master.key").exists(), "a key handed in is not written down");
    assert!(matches!(refusal(own.path()), OpenError::KeyMissing(_)));
}

#[tokio::test]
async fn what_is_not_a_store_of_this_version_is_refused_untouched() {
    for (sql, expected) in
        [("PRAGMA user_version = 99", "later version"), ("PRAGMA application_id = 7", "another program")]
    {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap().close().await;
        tamper(dir.path(), sql);
        let before = std::fs::read(dir.path().join("posthaste.db")).unwrap();
        let message = refusal(dir.path()).to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(std::fs::read(dir.path().join("posthaste.db")).unwrap(), before);
    }
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap().close().await;
    std::fs::write(dir.path().join("posthaste.db"), vec![0x55; 16_384]).unwrap();
    let message = refusal(dir.path()).to_string();
    assert!(message.contains("posthaste.db") && message.contains("not a database"), "{message}");
}

#[tokio::test]
async fn secrets_are_nowhere_in_the_files_and_do_not_open_in_another_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let account = account(&store).await;
    webhook(&store, account, "a").await;
    webhook(&store, account, "b").await;
    let key = NewKey {
        id: "key_1".to_owned(),
        account,
        key: Secret::from("canary key".to_owned()),
        signing_secret: Some(Secret::from("canary signing".to_owned())),
        tier: None,
        roles: vec![],
        scopes: vec![],
        description: None,
        expires_at: None,
    };
    store.create_key(key, NOW.into()).await.map(|_| ()).unwrap();
    store.close().await;
    drop(store);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
    assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new());
    tamper(
        dir.path(),
        "UPDATE webhooks SET secrets = (SELECT secrets FROM webhooks WHERE id = 'b') WHERE id = 'a'",
    );
    let store = open(dir.path()).unwrap();
    let what = store.damage().first().unwrap_or_default();
    assert!(what.contains("posthaste.db") && what.contains("webhooks row 1"), "{what}");
    let owed_to: Vec<i64> =
        store.roster().after(WebhookNo(0), 9).iter().map(|webhook| webhook.no.0).collect();
    assert_eq!(owed_to, [2], "nothing is sent for the damaged one, and the rest goes on");
    store.close().await;
    drop(store);
    let report = verify(dir.path(), None).unwrap();
    assert!(report.has_tried_seals && report.problems.len() == 1, "{report:?}");
}

#[tokio::test]
async fn a_changed_body_is_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let seq = publish(&store, "{\"amount\":1}").await;
    store.close().await;
    drop(store);
    tamper(dir.path(), "UPDATE events SET body = CAST('{\"amount\":9}' AS BLOB)");
    let store = open(dir.path()).unwrap();
    let Err(StoreError::Damaged(what)) = store.event(seq).await else { panic!("damage must be seen") };
    assert!(what.contains("posthaste.db") && what.contains(&seq.0.to_string()), "{what}");
    assert_eq!(store.events_after(Seq(0), 9).await.unwrap().len(), 0, "it is left out of what is to be sent");
    assert_eq!((store.damage().count(), store.damage().first()), (1, Some(what.clone())));
    assert_eq!(verify(dir.path(), None).unwrap().problems, [what]);
}

#[tokio::test]
async fn a_backup_is_a_whole_store_and_overwrites_nothing() {
    let (dir, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path()).unwrap();
    let seq = publish(&store, "{}").await;
    let file = restored.path().join("posthaste.db");
    store.backup(&file, NOW).await.unwrap();
    publish(&store, "{}").await;
    let bytes = std::fs::read(&file).unwrap();
    assert!(matches!(store.backup(&file, NOW).await, Err(StoreError::Unavailable(_))));
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let report = verify(&file, None).unwrap();
    assert!(report.problems.is_empty() && !report.has_tried_seals, "{report:?}");
    std::fs::copy(dir.path().join("master.key"), restored.path().join("master.key")).unwrap();
    let copy = open(restored.path()).unwrap();
    assert_eq!(copy.events_after(Seq(0), 9).await.unwrap().len(), 1);
    assert!(copy.event(seq).await.unwrap().is_some());
}

/// The head of a journal that says that there was nothing before, as SQLite writes it.
fn journal_of_a_first_start() -> Vec<u8> {
    let mut journal = vec![0; 512];
    journal[..8].copy_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    journal[20..24].copy_from_slice(&512_u32.to_be_bytes());
    journal[24..28].copy_from_slice(&8192_u32.to_be_bytes());
    journal
}

#[tokio::test]
async fn a_journal_left_behind_empties_nothing_that_was_put_beside_it() {
    let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path()).unwrap();
    publish(&store, "{}").await;
    store.backup(&backup.path().join("posthaste.db"), NOW).await.unwrap();
    std::fs::copy(dir.path().join("master.key"), backup.path().join("master.key")).unwrap();
    // A young store has all of it in its log.
    for from in [backup.path(), dir.path()] {
        let restored = tempfile::tempdir().unwrap();
        let (file, journal) =
            (restored.path().join("posthaste.db"), restored.path().join("posthaste.db-journal"));
        copy_folder(from, restored.path());
        std::fs::write(&journal, journal_of_a_first_start()).unwrap();
        let before = std::fs::read(&file).unwrap();
        let message = refusal(restored.path()).to_string();
        assert!(message.contains("posthaste.db-journal") && message.contains("Remove"), "{message}");
        assert_eq!(std::fs::read(&file).unwrap(), before);
        std::fs::remove_file(&journal).unwrap();
        assert_eq!(open(restored.path()).unwrap().events_after(Seq(0), 9).await.unwrap().len(), 1);
    }
    let cut_off = tempfile::tempdir().unwrap();
    std::fs::write(cut_off.path().join("posthaste.db"), vec![0; 8192]).unwrap();
    std::fs::copy(dir.path().join("master.key"), cut_off.path().join("master.key")).unwrap();
    std::fs::write(cut_off.path().join("posthaste.db-journal"), journal_of_a_first_start()).unwrap();
    open(cut_off.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_together_is_made_durable_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let before = store.commits();
    let mut tasks = JoinSet::new();
    for _ in 0..2_000 {
        let store = store.clone();
        tasks.spawn(async move { publish(&store, "{}").await });
    }
    tasks.join_all().await;
    let commits = store.commits() - before;
    assert!(commits < 1_000, "{commits} commits for 2,000 publishes");
    assert_eq!(store.events_after(Seq(0), 5_000).await.unwrap().len(), 2_000);
}
