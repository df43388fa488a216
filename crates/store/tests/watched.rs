//! Watched values in the files: what a kill leaves, what goes with an account, and what damage is found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{Audience, Clock, EventBody, Reading, Seq, UnixMs};
use posthaste_store::{Embedded, EventDraft, NewAccount, Options, Store, verify};
use rusqlite::Connection;

const NOW: UnixMs = UnixMs(1_800_000_000_000);

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

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn tell(store: &Embedded, audience: Audience, value: &str) -> Seq {
    let reading = Reading {
        value: value.to_owned(),
        per: "USD".to_owned(),
        limit: "floor".to_owned(),
        falls_below: true,
    };
    let draft = EventDraft {
        audience,
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: Some(Box::new(reading)),
        test_by: None,
    };
    let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 1..1, account_at: None };
    store.publish(vec![draft], &|_, _, _| body(), NOW).await.unwrap()[0].unwrap().seq
}

/// Which of the events cross a limit, in order.
async fn crossings(store: &Embedded, limit: &str) -> Vec<bool> {
    let events = store.events_after(Seq(0), 1_000).await.unwrap();
    events.iter().map(|event| event.watched.as_ref().unwrap().crosses(Some(limit))).collect()
}

#[tokio::test]
async fn what_was_decided_is_decided_alike_after_a_kill() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    for value in ["1", "0.05", "0.04", "0.1", "0.09"] {
        tell(&store, Audience::Broadcast, value).await;
    }
    let expected = [false, true, false, false, true];
    assert_eq!(crossings(&store, "0.1").await, expected);
    // What the disk holds while the process still runs is what a kill leaves.
    copy_folder(dir.path(), image.path());
    let after = open(image.path());
    assert_eq!(crossings(&after, "0.1").await, expected);
    tell(&after, Audience::Broadcast, "0.08").await;
    assert!(!crossings(&after, "0.1").await[expected.len()], "it was below before the kill");
}

#[tokio::test]
async fn the_values_of_a_deleted_account_go_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let new = NewAccount { id: "acme".to_owned(), name: None };
    let account = store.create_account(new, NOW.into()).await.unwrap().no;
    tell(&store, Audience::Account(account), "1").await;
    tell(&store, Audience::Broadcast, "2").await;
    store.delete_account("acme", NOW.into()).await.unwrap();
    while store.tidy(UnixMs(0), false, NOW).await.unwrap() {}
    let left: Vec<String> = {
        let conn = Connection::open(dir.path().join("posthaste.db")).unwrap();
        let mut statement = conn.prepare("SELECT value FROM watched_values").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(left, ["2"]);
}

#[tokio::test]
async fn damaged_values_are_found() {
    for change in ["watched = NULL", "watched = replace(watched, '0.5', '0.6')", "watched = 'x'"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        tell(&store, Audience::Broadcast, "0.5").await;
        store.close().await;
        drop(store);
        assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new());
        sql(dir.path(), &format!("UPDATE events SET {change}"));
        let problems = verify(dir.path(), None).unwrap().problems;
        assert!(problems.len() == 1 && problems[0].contains("events row"), "{change}: {problems:?}");
    }
}
