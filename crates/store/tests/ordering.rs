//! Chains of deliveries in the files: what a kill leaves, and what damage is found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{Audience, Clock, DeliveryKey, EventBody, OrderingKey, Secret, Subscription, UnixMs};
use posthaste_store::{
    Embedded, EventDraft, NewAccount, NewWebhook, Options, PendingQuery, RecordBatch, Spill, Store,
    WebhookLimits, verify,
};
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

/// A webhook with three deliveries of one key.
async fn fill(store: &Embedded) {
    let account = NewAccount { id: "acme".to_owned(), name: None };
    let account = store.create_account(account, NOW.into()).await.unwrap().no;
    let new = NewWebhook {
        id: "wh_1".to_owned(),
        account,
        key: None,
        url: "https://a.example/".to_owned(),
        canonical_url: "https://a.example/".to_owned(),
        subscription: Subscription::All,
        description: None,
        extension: BTreeMap::new(),
        secret: Secret::from("s".to_owned()),
    };
    let webhook = store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap().no;
    for _ in 0..3 {
        let draft = EventDraft {
            audience: Audience::Account(account),
            event_type: "a.b".into(),
            send_at: None,
            idempotency: None,
            ordering_key: OrderingKey::new("order:1"),
            reading: None,
            test_by: None,
        };
        let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 1..1, account_at: None };
        let event = store.publish(vec![draft], &|_, _, _| body(), NOW).await.unwrap()[0].unwrap().seq;
        let key = DeliveryKey { event, webhook };
        let chain = store.event(event).await.unwrap().unwrap().chain();
        let spills = vec![Spill { key, due_at: NOW, chain }];
        store.record(RecordBatch { spills, ..RecordBatch::default() }).await.unwrap();
    }
}

#[tokio::test]
async fn a_chain_that_is_broken_is_found() {
    for (change, found) in [
        ("UPDATE deliveries SET next_ms = 1 << 60", "it waits for its turn and nothing is before it"),
        ("UPDATE deliveries SET next_ms = 5", "it has its turn together with a later one"),
        ("UPDATE deliveries SET chain = NULL", "it waits for its turn in no chain"),
        ("UPDATE events SET ordering_key = 'order:2'", "does not match its checksum"),
        ("UPDATE events SET ordering_key = NULL", "does not match its checksum"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        fill(&store).await;
        store.close().await;
        drop(store);
        assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new());
        sql(dir.path(), change);
        let problems = verify(dir.path(), None).unwrap().problems;
        assert!(problems.first().is_some_and(|problem| problem.contains(found)), "{change}: {problems:?}");
    }
}

#[tokio::test]
async fn a_killed_process_leaves_the_chain_as_it_was() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    fill(&store).await;
    // What the disk holds while the process still runs is what a kill leaves.
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
    }
    let after = open(image.path());
    let heads = after.pending_heads().await.unwrap();
    let read = after.pending(PendingQuery::first(heads[0].0, NOW, 9)).await.unwrap();
    assert_eq!((heads.len(), read.rows.len(), read.next), (1, 1, None));
}
