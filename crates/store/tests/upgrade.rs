//! A store of an older version becomes one of this version, and keeps what it holds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{Action, Audience, Clock, EventBody, Scope, Secret, Seq, UnixMs};
use posthaste_store::{
    ChangeFilter, Embedded, EventDraft, NewAccount, NewKey, NewToken, Options, Store, verify,
};
use rusqlite::Connection;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
/// What is in the store before it is upgraded.
const ACCOUNTS: usize = 200;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn open(dir: &Path) -> Arc<Embedded> {
    Embedded::open(dir, None, Options::default(), Arc::new(Fixed)).unwrap()
}

fn sql(dir: &Path, text: &str) {
    Connection::open(dir.join("posthaste.db")).unwrap().execute_batch(text).unwrap();
}

fn version(dir: &Path) -> i64 {
    let connection = Connection::open(dir.join("posthaste.db")).unwrap();
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn body() -> EventBody {
    EventBody { bytes: Bytes::from_static(b"{}"), data: 1..1, account_at: None }
}

/// A store as version 2 left it: full, and without the tables that came after.
async fn store_of_version_2(dir: &Path) {
    let store = open(dir);
    for number in 0..ACCOUNTS {
        let id = format!("acme-{number}");
        let account = store.create_account(NewAccount { id, name: None }, NOW.into()).await.unwrap();
        let key = NewKey {
            id: format!("key_{number}"),
            account: account.no,
            key: Secret::from(format!("text-{number}")),
            signing_secret: Some(Secret::from(format!("signs-{number}"))),
            tier: None,
            roles: vec![],
            scopes: vec![],
            description: None,
            expires_at: None,
        };
        store.create_key(key, NOW.into()).await.unwrap();
    }
    let draft = EventDraft {
        audience: Audience::Broadcast,
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: None,
        test_by: None,
    };
    store.publish(vec![draft], &|_, _, _| body(), NOW).await.unwrap();
    store.close().await;
    drop(store);
    sql(
        dir,
        "DROP TABLE tokens; DROP TABLE audit; DROP TABLE watched_values; ALTER TABLE events DROP COLUMN watched;
         ALTER TABLE events DROP COLUMN ordering_key; DROP INDEX deliveries_chained; DROP INDEX deliveries_unattempted;
         ALTER TABLE deliveries DROP COLUMN chain; ALTER TABLE accounts DROP COLUMN row_check;
         ALTER TABLE keys DROP COLUMN row_check; ALTER TABLE webhooks DROP COLUMN row_check;
         ALTER TABLE deliveries DROP COLUMN canceled_ms; ALTER TABLE standings DROP COLUMN off_seq;
         DROP INDEX deliveries_called_off;
         UPDATE meta SET value = substr(value, 1, 16) WHERE key = 'id_key';
         PRAGMA user_version = 2;",
    );
}

#[tokio::test]
async fn a_full_store_of_the_version_before_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    store_of_version_2(dir.path()).await;
    assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new(), "as it is");
    let store = open(dir.path());
    for number in 0..ACCOUNTS {
        let found = store.find_key(&Secret::from(format!("text-{number}"))).await.unwrap().unwrap();
        assert_eq!(found.account_id, format!("acme-{number}"));
        assert_eq!(found.signing_secret.as_ref().unwrap().expose_text(), format!("signs-{number}"));
    }
    let events = store.events_after(Seq(0), 9).await.unwrap();
    assert_eq!(events.iter().map(|event| event.watched.clone()).collect::<Vec<_>>(), [None]);
    assert!(store.changes(ChangeFilter::default(), None, 9).await.unwrap().items.is_empty());
    let token = NewToken {
        id: "tok_1".to_owned(),
        name: "ci".to_owned(),
        token: Secret::from("pht_1".to_owned()),
        scope: Scope::Read,
        expires_at: None,
    };
    store.create_token(token, NOW.into()).await.unwrap();
    store.close().await;
    drop(store);
    assert!(version(dir.path()) >= 3);
    assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new());
    let store = open(dir.path());
    assert!(store.find_token(&Secret::from("pht_1".to_owned()), NOW).await.unwrap().is_some());
    assert_eq!(
        store.changes(ChangeFilter::default(), None, 9).await.unwrap().items[0].action,
        Action::TokenCreated
    );
    assert_eq!(store.tokens(None, 1).await.unwrap().items[0].last_used_at, None);
    store.close().await;
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.tokens(None, 1).await.unwrap().items[0].last_used_at, Some(NOW), "as of the end");
    // A copy holds them too.
    let copy = dir.path().join("copy.db");
    store.backup(&copy, NOW).await.unwrap();
    let copied = Connection::open(&copy).unwrap();
    for table in ["tokens", "audit"] {
        let rows: i64 =
            copied.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1, "{table}");
    }
}

#[tokio::test]
async fn an_upgrade_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    store_of_version_2(dir.path()).await;
    // A table that a later step wants to make is in its way.
    sql(dir.path(), "CREATE TABLE audit (x);");
    let opened = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed));
    assert!(opened.is_err());
    assert_eq!(version(dir.path()), 2);
    sql(dir.path(), "DROP TABLE audit;");
    let store = open(dir.path());
    assert_eq!(store.accounts(None, 1_000).await.unwrap().items.len(), ACCOUNTS);
    store.close().await;
}

#[tokio::test]
async fn damage_in_the_new_tables_is_found() {
    for (what, change) in [
        ("tokens row 1: its scope is none", "UPDATE tokens SET scope = 'all'"),
        ("audit row 1: its actor is none", "UPDATE audit SET actor = 'nobody'"),
        ("audit row 1: its action is none", "UPDATE audit SET action = 'x'"),
        ("audit row 1: its address is none", "UPDATE audit SET address = 'x'"),
        ("audit row 1: its fields are none", "UPDATE audit SET fields = 'x'"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let token = NewToken {
            id: "tok_1".to_owned(),
            name: "ci".to_owned(),
            token: Secret::from("pht_1".to_owned()),
            scope: Scope::Full,
            expires_at: None,
        };
        store.create_token(token, NOW.into()).await.unwrap();
        store.close().await;
        drop(store);
        sql(dir.path(), change);
        let problems = verify(dir.path(), None).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.ends_with(what)), "{problems:?}");
    }
}
