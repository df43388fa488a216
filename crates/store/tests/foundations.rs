//! What everything else in a store is read by, the tables' definitions and the store's own facts: damage to a byte of them
//! is told, or changes nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{
    Audience, Clock, DeliveryKey, EventBody, Secret, Subscription, UnixMs, Webhook, WebhookNo,
};
use posthaste_store::{
    Embedded, EventDraft, NewAccount, NewWebhook, OpenError, Options, RecordBatch, Spill, Store, StoreError,
    WebhookLimits, verify,
};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const FILE: &str = "posthaste.db";
/// What is done to a byte: a bit of each kind, a letter of the other case, another byte altogether.
const MASKS: [u8; 4] = [0x01, 0x20, 0x80, 0x6b];

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn open(dir: &Path) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(dir, None, Options { readers: 1 }, Arc::new(Fixed))
}

/// Changes the file behind the back of the store.
fn tamper(dir: &Path, sql: &str) {
    Connection::open(dir.join(FILE)).unwrap().execute_batch(sql).unwrap();
}

async fn webhook(store: &Embedded) -> Webhook {
    let account =
        store.create_account(NewAccount { id: "acme".into(), name: None }, NOW.into()).await.unwrap();
    let new = NewWebhook {
        id: "a".to_owned(),
        account: account.no,
        key: None,
        url: "https://a.example/".to_owned(),
        canonical_url: "https://a.example/".to_owned(),
        subscription: Subscription::All,
        description: None,
        extension: std::collections::BTreeMap::new(),
        secret: Secret::from("secret".to_owned()),
    };
    store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap()
}

async fn publish(store: &Embedded, webhook: WebhookNo) {
    let draft = EventDraft {
        audience: Audience::Broadcast,
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: None,
        test_by: None,
    };
    let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 0..2, account_at: None };
    let event = store.publish(vec![draft], &|_, _, _| body(), NOW).await.unwrap()[0].unwrap().seq;
    let spills = vec![Spill { key: DeliveryKey { event, webhook }, due_at: NOW, chain: None }];
    store.record(RecordBatch { spills, checkpoint: Some(event), ..RecordBatch::default() }).await.unwrap();
}

/// A store with a webhook and events that are owed to it, all of it in the file.
async fn filled() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let webhook = webhook(&store).await.no;
    for _ in 0..3 {
        publish(&store, webhook).await;
    }
    store.close().await;
    drop(store);
    tamper(dir.path(), "PRAGMA wal_checkpoint(TRUNCATE)");
    dir
}

/// All that a store holds, but for how its own log is numbered.
fn held(dir: &Path) -> Vec<Vec<Value>> {
    let conn = Connection::open(dir.join(FILE)).unwrap();
    let mut held = Vec::new();
    for sql in [
        "SELECT * FROM accounts",
        "SELECT * FROM webhooks",
        "SELECT * FROM events",
        "SELECT * FROM deliveries",
        "SELECT key, value FROM meta WHERE key NOT LIKE 'log%'",
    ] {
        let mut statement = conn.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
        held.extend(rows.unwrap().map(Result::unwrap));
    }
    held
}

/// Where a text lies in the file, with so many bytes before it.
fn place_of(file: &[u8], text: &[u8], before: usize) -> Range<usize> {
    let at = file.windows(text.len()).position(|window| window == text).unwrap();
    at - before..at + text.len()
}

/// The bytes of the rows of the schema, and of the names of the facts.
fn places(dir: &Path) -> [(&'static str, usize, Vec<Range<usize>>); 3] {
    let (file, conn) = (std::fs::read(dir.join(FILE)).unwrap(), Connection::open(dir.join(FILE)).unwrap());
    let rows = |sql: &str| -> Vec<(String, Vec<u8>)> {
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let defined =
        rows("SELECT type || name || tbl_name, CAST(sql AS BLOB) FROM sqlite_schema WHERE sql IS NOT NULL");
    let (mut texts, mut names) = (Vec::new(), Vec::new());
    for (name, text) in defined {
        let text = place_of(&file, &text, 0);
        // The page it begins at lies between them.
        names.push(text.start - name.len() - 1..text.start);
        texts.push(text);
    }
    let facts = rows("SELECT key, CAST(value AS BLOB) FROM meta");
    let facts = facts.into_iter().map(|(name, value)| {
        let value = place_of(&file, &[name.as_bytes(), &value].concat(), 0);
        value.start..value.start + name.len()
    });
    [
        ("a definition", 31, texts),
        ("a name in the schema", 11, names),
        ("a name of a fact", 1, facts.collect()),
    ]
}

/// A copy with one byte changed.
fn damaged(from: &Path, at: usize, mask: u8) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in [FILE, "master.key", "posthaste.lock"] {
        std::fs::copy(from.join(name), dir.path().join(name)).unwrap();
    }
    let mut file = std::fs::read(from.join(FILE)).unwrap();
    file[at] ^= mask;
    std::fs::write(dir.path().join(FILE), file).unwrap();
    dir
}

/// Does a start refuse it, with the file's name and without our statements?
fn is_refused(dir: &Path, what: &str) -> bool {
    let Err(error) = open(dir) else { return false };
    let told = error.to_string();
    assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {told}");
    assert!(told.contains(FILE) && !told.contains("SELECT"), "{what}: {told}");
    true
}

/// Does the check find something, in such words?
fn is_found(dir: &Path, what: &str) -> bool {
    let told = match verify(dir, None) {
        Ok(report) if report.problems.is_empty() => return false,
        Ok(report) => report.problems.join("\n"),
        Err(error) => error.to_string(),
    };
    assert!(told.contains(FILE) && !told.contains("SELECT"), "{what}: {told}");
    true
}

#[tokio::test]
async fn a_byte_that_changes_is_told_or_changes_nothing() {
    let dir = filled().await;
    let sound = held(dir.path());
    assert!(!is_found(dir.path(), "nothing"));
    for (kind, stride, places) in places(dir.path()) {
        let bytes: Vec<usize> = places.into_iter().flatten().step_by(stride).collect();
        let mut told = 0;
        for (number, at) in bytes.iter().enumerate() {
            let mask = MASKS[number % MASKS.len()];
            let (copy, what) = (damaged(dir.path(), *at, mask), format!("{kind}, byte {at}, mask {mask:#x}"));
            let is_found = is_found(copy.path(), &what);
            let is_refused = is_refused(copy.path(), &what);
            assert_eq!(is_found, is_refused, "{what}");
            assert!(is_refused || held(copy.path()) == sound, "{what}: it holds something else");
            told += usize::from(is_refused);
        }
        assert!(told * 2 > bytes.len(), "{kind}: {told} of {}", bytes.len());
        println!("counted | damage | bytes of {kind} that were changed | {}", bytes.len());
    }
}

#[tokio::test]
async fn changed_tables_are_damage() {
    for (change, says) in [
        ("DROP INDEX deliveries_pending", "the index deliveries_pending of the table deliveries is missing"),
        ("DROP TABLE once_tokens", "the table once_tokens is missing"),
        ("ALTER TABLE keys RENAME COLUMN scopes TO scope", "the table keys is not defined as it was made"),
        (
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, 'next_ms IS NOT NULL', 'state IS NOT NULL')
             WHERE name = 'deliveries_pending'",
            "the index deliveries_pending of the table deliveries is not defined as it was made",
        ),
        (
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'events'",
            "a table or index is said to begin at a page that is not its own",
        ),
    ] {
        let dir = filled().await;
        tamper(dir.path(), change);
        let refused = open(dir.path()).map(drop).unwrap_err();
        assert!(matches!(&refused, OpenError::Damaged { what, .. } if what.contains(says)), "{refused}");
        let problems = verify(dir.path(), None).unwrap().problems;
        assert!(problems[0].contains(says), "{problems:?}");
    }
}

#[tokio::test]
async fn facts_that_are_missing_or_none_are_damage() {
    for (change, says) in [
        ("DELETE FROM meta WHERE key = 'checkpoint'", "meta row checkpoint: it is missing"),
        (
            "UPDATE meta SET value = zeroblob(16) WHERE key = 'checkpoint'",
            "meta row checkpoint: it does not match its checksum",
        ),
        ("UPDATE meta SET value = 'x' WHERE key = 'checkpoint'", "meta row checkpoint: it is no number"),
        (
            "UPDATE meta SET value = CAST(x'00' || substr(value, 2) AS BLOB) WHERE key = 'id_key'",
            "meta row id_key: it does not match its checksum",
        ),
        (
            "UPDATE meta SET value = substr(value, 1, 16) WHERE key = 'id_key'",
            "meta row id_key: it does not match its checksum",
        ),
        ("DELETE FROM meta WHERE key = 'id_key'", "meta row id_key: it is missing"),
        ("DELETE FROM meta", "meta row id_key: it is missing"),
        ("UPDATE meta SET key = 'checkpoins' WHERE key = 'checkpoint'", "meta: names that are unknown: 1"),
        (
            "UPDATE meta SET key = replace(key, 'key_part ', 'key_part!') WHERE key LIKE 'key_part %'",
            "meta: names that are unknown: 1",
        ),
        ("INSERT INTO meta VALUES ('key_part 00', x'00')", "meta: names that are unknown: 1"),
    ] {
        let dir = filled().await;
        tamper(dir.path(), change);
        let refused = open(dir.path()).map(drop).unwrap_err();
        assert!(matches!(&refused, OpenError::Damaged { .. }), "{refused}");
        let problems = verify(dir.path(), None).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(says)), "{problems:?}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_lost_while_the_store_is_open_is_not_zero() {
    let dir = filled().await;
    let store = open(dir.path()).unwrap();
    tamper(dir.path(), "UPDATE meta SET key = 'bheckpoint' WHERE key = 'checkpoint'");
    let read = store.checkpoint().await;
    assert!(matches!(read, Err(StoreError::Damaged(what)) if what.contains("checkpoint")));
    assert!(store.owed().await.is_err());
}

/// Takes back what the steps after the eighth do.
const WITHOUT_LATER_STEPS: &str =
    "DROP INDEX deliveries_unattempted; DROP INDEX deliveries_called_off; ALTER TABLE standings DROP COLUMN off_seq;
     UPDATE meta SET value = substr(value, 1, 16) WHERE key = 'id_key';";

#[tokio::test]
async fn a_store_of_the_version_before_may_have_no_checkpoint_yet() {
    for (version, is_taken_over) in [(7, true), (8, false)] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        webhook(&store).await;
        store.close().await;
        drop(store);
        let sql = format!(
            "DELETE FROM meta WHERE key = 'checkpoint'; {WITHOUT_LATER_STEPS} PRAGMA user_version = {version}"
        );
        tamper(dir.path(), &sql);
        assert_eq!(verify(dir.path(), None).unwrap().problems.is_empty(), is_taken_over);
        assert_eq!(open(dir.path()).is_ok(), is_taken_over);
        assert_eq!(verify(dir.path(), None).unwrap().problems.is_empty(), is_taken_over, "afterwards");
    }
}

#[tokio::test]
async fn other_indexes_of_the_first_tokens_are_made_anew() {
    let dir = filled().await;
    let sql = format!(
        "DROP INDEX tokens_by_expiry; DROP INDEX tokens_by_name; CREATE INDEX tokens_by_name ON tokens (name);
         {WITHOUT_LATER_STEPS} PRAGMA user_version = 7"
    );
    tamper(dir.path(), &sql);
    assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new(), "as it is");
    for _ in 0..2 {
        let store = open(dir.path()).unwrap();
        store.close().await;
    }
    assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new());
}
