//! One damaged row does not stop the others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthaste_core::delivery::reasons;
use posthaste_core::{
    AccountNo, Attempt, Audience, By, Clock, DeliveryKey, DeliveryState, EventBody, Outcome, Response,
    Secret, Seq, Subscription, UnixMs, Webhook, WebhookNo,
};
use posthaste_store::{
    Embedded, EventDraft, NewAccount, NewKey, NewWebhook, Options, PendingQuery, Published, RecordBatch,
    Recorded, Refusal, Spill, Store, StoreError, WebhookLimits, verify,
};
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

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

async fn account(store: &Embedded, id: &str) -> AccountNo {
    store.create_account(NewAccount { id: id.into(), name: None }, NOW.into()).await.unwrap().no
}

async fn webhook(store: &Embedded, account: AccountNo, id: &str) -> Webhook {
    let new = NewWebhook {
        id: id.to_owned(),
        account,
        key: None,
        url: format!("https://{id}.example/"),
        canonical_url: format!("https://{id}.example/"),
        subscription: Subscription::All,
        description: None,
        extension: BTreeMap::new(),
        secret: Secret::from(format!("secret of {id}")),
    };
    store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap()
}

async fn publish(store: &Embedded, audience: Audience, test_by: Option<By>) -> Result<Published, StoreError> {
    let draft = EventDraft {
        audience,
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: None,
        test_by: test_by.map(Box::new),
    };
    let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 0..2, account_at: None };
    Ok(store.publish(vec![draft], &|_, _, _| body(), NOW).await?[0].unwrap())
}

/// An event with a delivery that is due.
async fn owed(store: &Embedded, account: AccountNo, webhook: WebhookNo) -> DeliveryKey {
    let event = publish(store, Audience::Account(account), None).await.unwrap().seq;
    let key = DeliveryKey { event, webhook };
    let spills = vec![Spill { key, due_at: NOW, chain: None }];
    store.record(RecordBatch { spills, checkpoint: Some(event), ..RecordBatch::default() }).await.unwrap();
    key
}

/// Changes a row behind the back of the store, which may be open, as a disk would.
fn tamper(dir: &Path, sql: &str) {
    Connection::open(dir.join("posthaste.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_damaged_account_with_many_webhooks_is_one_damaged_row() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let many = account(&store, "many").await;
    for index in 0..101 {
        webhook(&store, many, &format!("wh_{index}")).await;
    }
    let other = account(&store, "other").await;
    let other = webhook(&store, other, "other").await;
    store.close().await;
    drop(store);
    tamper(dir.path(), "UPDATE accounts SET id = 'changed' WHERE id = 'many'");
    let store = open(dir.path());
    assert_eq!(store.damage().count(), 1);
    let owed_to: Vec<WebhookNo> =
        store.roster().after(WebhookNo(0), 999).iter().map(|webhook| webhook.no).collect();
    assert_eq!(owed_to, [other.no]);
}

#[tokio::test]
async fn deliveries_wait_while_the_row_of_their_webhook_is_damaged() {
    for (damage, repair) in [
        ("UPDATE webhooks SET account = account + 1", "UPDATE webhooks SET account = account - 1"),
        ("UPDATE webhooks SET no = no + 9", "UPDATE webhooks SET no = no - 9"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let acme = account(&store, "acme").await;
        let webhook = webhook(&store, acme, "a").await.no;
        let key = owed(&store, acme, webhook).await;
        tamper(dir.path(), damage);
        for query in [PendingQuery::first(webhook, NOW, 9), PendingQuery::newest(webhook, NOW, 9)] {
            let read = store.pending(query).await.unwrap();
            assert!(read.rows.is_empty() && read.next.is_none());
        }
        let what = store.damage().first().unwrap_or_default();
        assert!(what.contains("webhooks row 1"), "{what}");
        tamper(dir.path(), repair);
        let rows = store.pending(PendingQuery::first(webhook, NOW, 9)).await.unwrap().rows;
        assert_eq!(rows.iter().map(|row| row.key).collect::<Vec<_>>(), [key], "nothing was called off");
    }
}

#[tokio::test]
async fn a_delivery_whose_event_is_gone_ends_and_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let acme = account(&store, "acme").await;
    let webhook = webhook(&store, acme, "a").await.no;
    let lost = owed(&store, acme, webhook).await;
    let kept = owed(&store, acme, webhook).await;
    tamper(dir.path(), &format!("DELETE FROM events WHERE seq = {}", lost.event.0));
    let rows = store.pending(PendingQuery::first(webhook, NOW, 9)).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.key).collect::<Vec<_>>(), [kept]);
    let ended = store.deliveries_of_event(lost.event, 9).await.unwrap().remove(0);
    assert_eq!(
        (ended.state, ended.reason.as_deref()),
        (DeliveryState::Canceled, Some(reasons::EVENT_DAMAGED))
    );
}

/// Records an attempt after which it stands so.
async fn attempt(store: &Embedded, key: DeliveryKey, number: u32, state: DeliveryState) {
    let status = if state == DeliveryState::Delivered { 200 } else { 503 };
    let outcome = Outcome::Answered(Response { status, headers: vec![], body: vec![], is_cut: false });
    let (started_at, duration) = (NOW, Duration::from_millis(5));
    let attempt = Attempt { number, started_at, duration, outcome, signatures: vec![] };
    let reason = (state == DeliveryState::Failed).then_some(reasons::ATTEMPTS_EXHAUSTED);
    let next_attempt_at = (state == DeliveryState::Pending).then_some(NOW);
    let attempts = vec![Recorded { key, attempt, state, next_attempt_at, reason }];
    store.record(RecordBatch { attempts, ..RecordBatch::default() }).await.unwrap();
}

#[tokio::test]
async fn a_delivery_that_is_said_to_be_another_webhooks_is_found() {
    for (damage, found) in [
        ("webhook = -webhook", "webhook -1: its webhook is missing"),
        ("webhook = 3", "webhook 3: its event is not for its webhook"),
        ("webhook = 2", "standings row 1: it counts other attempted deliveries than there are"),
        ("event = event + 1", "its event is not for its webhook"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (acme, other) = (account(&store, "acme").await, account(&store, "other").await);
        let one = webhook(&store, acme, "one").await.no;
        webhook(&store, acme, "two").await;
        let three = webhook(&store, other, "three").await.no;
        let key = owed(&store, acme, one).await;
        attempt(&store, key, 1, DeliveryState::Delivered).await;
        owed(&store, other, three).await;
        store.close().await;
        drop(store);
        assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new());
        tamper(dir.path(), &format!("UPDATE deliveries SET {damage} WHERE webhook = 1"));
        let problems = verify(dir.path(), None).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(found)), "{damage}: {problems:?}");
    }
}

/// What decides what is sent for a delivery, of all of them; `None` if that cannot be read.
fn deliveries(database: &Path) -> Option<Vec<[Value; 5]>> {
    let conn = Connection::open(database).ok()?;
    let sql = "SELECT event, webhook, state, attempts, next_ms FROM deliveries ORDER BY event, webhook";
    let mut statement = conn.prepare(sql).ok()?;
    let columns = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]);
    statement.query_map([], columns).ok()?.collect::<Result<_, _>>().ok()
}

/// Where the rows of deliveries begin in the file, of which all are on one page.
fn delivery_rows(database: &Path) -> Vec<u64> {
    let conn = Connection::open(database).unwrap();
    let (number, page_bytes): (i64, i64) = conn
        .query_row("SELECT pageno, pgsize FROM dbstat WHERE name = 'deliveries'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let at = ((number - 1) * page_bytes) as usize;
    let page = &std::fs::read(database).unwrap()[at..at + page_bytes as usize];
    let short = |at: usize| u16::from_be_bytes([page[at], page[at + 1]]);
    (0..usize::from(short(3))).map(|row| at as u64 + u64::from(short(8 + 2 * row))).collect()
}

#[tokio::test]
async fn no_bit_of_what_decides_about_a_delivery_changes_unseen() {
    // So much of a row holds how long its columns are, and those that decide.
    const HEAD_BYTES: u64 = 48;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let acme = account(&store, "acme").await;
    let mut keys = Vec::new();
    for id in ["one", "two"] {
        let no = webhook(&store, acme, id).await.no;
        for _ in 0..6 {
            keys.push(owed(&store, acme, no).await);
        }
    }
    for [waits, canceled, delivered, late, failed, retried] in keys.as_chunks().0 {
        attempt(&store, *delivered, 1, DeliveryState::Delivered).await;
        attempt(&store, *late, 1, DeliveryState::Pending).await;
        attempt(&store, *failed, 1, DeliveryState::Pending).await;
        attempt(&store, *late, 2, DeliveryState::Delivered).await;
        attempt(&store, *failed, 2, DeliveryState::Failed).await;
        attempt(&store, *retried, 1, DeliveryState::Pending).await;
        let cancels = vec![(*canceled, reasons::WEBHOOK_DISABLED)];
        store.record(RecordBatch { cancels, ..RecordBatch::default() }).await.unwrap();
        assert_eq!(store.delivery(*waits).await.unwrap().unwrap().0.state, DeliveryState::Pending);
    }
    store.close().await;
    drop(store);
    let database = dir.path().join("posthaste.db");
    let (sound, rows) = (deliveries(&database).unwrap(), delivery_rows(&database));
    assert_eq!(rows.len(), keys.len());
    assert_eq!(verify(&database, None).unwrap().problems, Vec::<String>::new());
    let file = OpenOptions::new().read(true).write(true).open(&database).unwrap();
    let mut changed = 0;
    for (at, bit) in
        rows.iter().flat_map(|row| *row..row + HEAD_BYTES).flat_map(|at| (0..8).map(move |bit| (at, bit)))
    {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
        if deliveries(&database).as_ref() != Some(&sound) {
            changed += 1;
            let is_seen = verify(&database, None).map_or(true, |report| !report.problems.is_empty());
            assert!(is_seen, "bit {bit} of byte {at}: {:?}", deliveries(&database));
        }
        file.write_all_at(&byte, at).unwrap();
    }
    assert!(changed > 500, "{changed} changes were tried");
}

#[tokio::test]
async fn a_damaged_row_is_told_of_before_all_that_contradict_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let acme = account(&store, "acme").await;
    let webhook = webhook(&store, acme, "a").await.no;
    for _ in 0..150 {
        owed(&store, acme, webhook).await;
    }
    store.close().await;
    drop(store);
    tamper(dir.path(), "UPDATE webhooks SET account = account + 1");
    let problems = verify(dir.path(), None).unwrap().problems;
    assert!(problems.len() == 100 && problems[0].contains("webhooks row 1"), "{problems:?}");
}

/// Changes rows and not what indexes of these names have of them, as a disk would.
fn tamper_beside_indexes(dir: &Path, names: &str, sql: &str) {
    let open = || {
        let conn = Connection::open(dir.join("posthaste.db")).unwrap();
        conn.execute_batch("PRAGMA writable_schema = ON").unwrap();
        conn
    };
    let conn = open();
    conn.execute_batch(&format!(
        "CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE type = 'index' AND name LIKE '{names}';
         DELETE FROM sqlite_schema WHERE name IN (SELECT name FROM hidden)"
    ))
    .unwrap();
    drop(conn);
    let conn = open();
    conn.execute_batch(sql).unwrap();
    conn.execute_batch("INSERT INTO sqlite_schema SELECT * FROM hidden; DROP TABLE hidden").unwrap();
}

#[tokio::test]
async fn a_delivery_whose_row_and_index_differ_is_not_sent_and_holds_up_no_other() {
    for (indexes, damage) in [
        ("deliveries_%", "attempts = attempts + 1"),
        ("deliveries_%", "attempts = -126"),
        ("deliveries_%", "attempts = 'x'"),
        ("deliveries_%", "next_ms = next_ms - 1"),
        ("deliveries_%", "next_ms = next_ms + 0.5"),
        ("deliveries_%", "next_ms = NULL"),
        ("deliveries_%", "webhook = webhook + 7"),
        ("deliveries_%", "state = x''"),
        ("deliveries_%", "chain = 7"),
        ("deliveries_pending", "next_ms = next_ms - 1"),
        ("deliveries_unattempted", "next_ms = next_ms - 1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let acme = account(&store, "acme").await;
        let webhook = webhook(&store, acme, "a").await.no;
        let damaged = owed(&store, acme, webhook).await;
        let sound = owed(&store, acme, webhook).await;
        let sql = format!("UPDATE deliveries SET {damage} WHERE event = {}", damaged.event.0);
        tamper_beside_indexes(dir.path(), indexes, &sql);
        for query in [PendingQuery::first(webhook, NOW, 9), PendingQuery::newest(webhook, NOW, 9)] {
            let rows = store.pending(query).await.unwrap().rows;
            let keys: Vec<DeliveryKey> = rows.iter().map(|row| row.key).collect();
            assert_eq!(keys, [sound], "{damage} beside {indexes}");
        }
        let what = store.damage().first().unwrap_or_default();
        assert!(what.contains(&format!("deliveries row event {} webhook 1", damaged.event.0)), "{what}");
        assert_eq!(store.pending_heads().await.unwrap().len(), 1, "{damage}");
    }
}

#[tokio::test]
async fn where_many_deliveries_of_a_webhook_contradict_an_index_its_others_wait() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let acme = account(&store, "acme").await;
    let webhook = webhook(&store, acme, "a").await.no;
    for _ in 0..150 {
        owed(&store, acme, webhook).await;
    }
    tamper_beside_indexes(dir.path(), "deliveries%", "UPDATE deliveries SET attempts = 9");
    owed(&store, acme, webhook).await;
    let read = store.pending(PendingQuery::first(webhook, NOW, 9)).await.unwrap();
    assert!(read.rows.is_empty() && read.next.is_none());
    assert_eq!(store.damage().count(), 101);
}

#[tokio::test]
async fn a_test_that_a_damaged_webhook_refuses_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let acme = account(&store, "acme").await;
    let webhook = webhook(&store, acme, "a").await.no;
    tamper(dir.path(), "UPDATE webhooks SET url = 'https://elsewhere.example/'");
    let refused = publish(&store, Audience::Webhook(webhook), Some(NOW.into())).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))));
    assert_eq!(store.events_after(Seq(0), 9).await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_damaged_can_be_deleted() {
    for damage in [
        "UPDATE accounts SET name = 'changed'",
        "UPDATE webhooks SET url = 'https://elsewhere.example/' WHERE id = 'a'",
        "UPDATE webhooks SET secrets = x'00' WHERE id = 'a'",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let acme = account(&store, "acme").await;
        let damaged = webhook(&store, acme, "a").await.no;
        webhook(&store, acme, "b").await;
        let key = owed(&store, acme, damaged).await;
        tamper(dir.path(), damage);
        store.delete_webhook(damaged, NOW.into()).await.unwrap();
        assert!(store.roster().get(damaged).is_none());
        let again = store.delete_webhook(damaged, NOW.into()).await;
        assert!(matches!(again, Err(StoreError::Refused(Refusal::NotFound) | StoreError::Damaged(_))));
        store.delete_account("acme", NOW.into()).await.unwrap();
        drop(store);
        let store = open(dir.path());
        while store.tidy(UnixMs(0), false, NOW).await.unwrap() {}
        assert!(store.delivery(key).await.unwrap().is_none());
        assert_eq!(store.account("acme").await.unwrap(), None);
        store.close().await;
        drop(store);
        assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new(), "{damage}");
    }
}

#[tokio::test]
async fn revoking_a_damaged_key_does_not_make_it_look_sound() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let acme = account(&store, "acme").await;
    let secret = || Secret::from("phk_test".to_owned());
    let key = NewKey {
        id: "key_1".to_owned(),
        account: acme,
        key: secret(),
        signing_secret: None,
        tier: None,
        roles: vec![],
        scopes: vec![],
        description: None,
        expires_at: None,
    };
    store.create_key(key, NOW.into()).await.map(drop).unwrap();
    tamper(dir.path(), "UPDATE keys SET tier = 'gold'");
    store.revoke_key(acme, "key_1", NOW.into()).await.unwrap();
    assert!(matches!(store.find_key(&secret()).await, Err(StoreError::Damaged(_))));
}
