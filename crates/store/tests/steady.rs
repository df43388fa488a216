//! A wall clock that is set while the store is open and between two openings: due times, places and what is told of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use posthaste_core::{
    Attempt, Audience, Clock, DeliveryKey, DeliveryState, EventBody, Outcome, Response, Secret, Seq,
    SteadyMark, Subscription, UnixMs, Uptime, Webhook, steady,
};
use posthaste_store::{
    Embedded, EventDraft, IdempotencyKey, NewAccount, NewWebhook, Options, PendingQuery, Published,
    RecordBatch, Recorded, Spill, Store, Window,
};

const START: i64 = 1_800_000_000_000;
const DAYS_10: i64 = 864_000_000;
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// A machine that was started, and its clock.
struct Turned {
    wall_ms: AtomicI64,
    up_ms: AtomicI64,
    boot: [u8; 16],
    booted_at: Mutex<UnixMs>,
}

impl Turned {
    fn new(boot: u8, wall_ms: i64, up_ms: i64) -> Arc<Self> {
        let (wall_ms, up_ms) = (AtomicI64::new(wall_ms), AtomicI64::new(up_ms));
        Arc::new(Self { wall_ms, up_ms, boot: [boot; 16], booted_at: Mutex::new(UnixMs(0)) })
    }

    fn up(&self) -> Duration {
        Duration::from_millis(self.up_ms.load(Ordering::Relaxed).unsigned_abs())
    }

    fn pass(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
        self.up_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn set(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for Turned {
    fn now(&self) -> UnixMs {
        UnixMs(self.wall_ms.load(Ordering::Relaxed))
    }

    fn steady(&self) -> UnixMs {
        self.booted_at.lock().unwrap().plus(self.up())
    }

    fn mark(&self) -> Option<SteadyMark> {
        let (at, booted_at) = (self.steady(), *self.booted_at.lock().unwrap());
        Some(SteadyMark { boot: self.boot, booted_at, at, ahead_ms: self.now().0 - at.0 })
    }

    fn resume(&self, mark: Option<&SteadyMark>) {
        let uptime = Uptime { boot: self.boot, elapsed: self.up() };
        *self.booted_at.lock().unwrap() = steady::resumed(self.now(), &uptime, mark).minus(self.up());
    }
}

fn open(dir: &Path, clock: &Arc<Turned>) -> Arc<Embedded> {
    Embedded::open(dir, None, Options::default(), clock.clone()).unwrap()
}

async fn webhook(store: &Embedded, clock: &Turned) -> Webhook {
    let account = NewAccount { id: "acme".to_owned(), name: None };
    let account = store.create_account(account, clock.now().into()).await.unwrap();
    let new = NewWebhook {
        id: "wh".to_owned(),
        account: account.no,
        key: None,
        url: "https://a.example/".to_owned(),
        canonical_url: "https://a.example/".to_owned(),
        subscription: Subscription::All,
        description: None,
        extension: BTreeMap::new(),
        secret: Secret::from("secret".to_owned()),
    };
    store.create_webhook(new, Default::default(), clock.now().into()).await.unwrap()
}

async fn publish(store: &Embedded, webhook: &Webhook, clock: &Turned) -> Published {
    let idempotency = IdempotencyKey { key: "key".to_owned(), fingerprint: [7; 32], remembered_for: DAY };
    publish_draft(store, clock, draft(webhook, None, Some(idempotency))).await
}

fn draft(webhook: &Webhook, send_at: Option<UnixMs>, idempotency: Option<IdempotencyKey>) -> EventDraft {
    EventDraft {
        audience: Audience::Account(webhook.account),
        event_type: "a.b".into(),
        send_at,
        idempotency,
        ordering_key: None,
        reading: None,
        test_by: None,
    }
}

async fn publish_draft(store: &Embedded, clock: &Turned, draft: EventDraft) -> Published {
    let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 1..1, account_at: None };
    store.publish(vec![draft], &|_, _, _| body(), clock.now()).await.unwrap()[0].unwrap()
}

/// Records an attempt that failed now; its next one is due in so many milliseconds, or never.
async fn fail(store: &Embedded, key: DeliveryKey, clock: &Turned, next_ms: Option<u64>) {
    let outcome = Outcome::Answered(Response { status: 500, ..Response::default() });
    let attempt =
        Attempt { number: 1, started_at: clock.now(), duration: Duration::ZERO, outcome, signatures: vec![] };
    let state = if next_ms.is_some() { DeliveryState::Pending } else { DeliveryState::Failed };
    let next_attempt_at = next_ms.map(|ms| clock.steady().plus(Duration::from_millis(ms)));
    let attempts = vec![Recorded { key, attempt, state, reason: None, next_attempt_at }];
    store.record(RecordBatch { attempts, ..RecordBatch::default() }).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_moves_nothing() {
    let mut rows = 0;
    for by_ms in [DAYS_10, -DAYS_10, -START, 4_102_444_800_000 - START, 1_500] {
        let dir = tempfile::tempdir().unwrap();
        let clock = Turned::new(1, START, 50_000);
        let store = open(dir.path(), &clock);
        let webhook = webhook(&store, &clock).await;
        let first = publish(&store, &webhook, &clock).await;
        let key = DeliveryKey { event: first.seq, webhook: webhook.no };
        fail(&store, key, &clock, Some(60_000)).await;
        clock.set(by_ms);
        clock.pass(5_000);
        assert!(publish(&store, &webhook, &clock).await.is_duplicate, "{by_ms}: the key is seconds old");
        let due = store.pending_heads().await.unwrap()[0].1;
        assert_eq!(due.since(clock.steady()), Duration::from_secs(55), "{by_ms}");
        let told = store.delivery(key).await.unwrap().unwrap().0.next_attempt_at.unwrap();
        assert_eq!(told.since(clock.now()), Duration::from_secs(55), "{by_ms}: as people's clocks show it");
        let expired_before = clock.steady().minus(DAY);
        while store.tidy(expired_before, true, clock.steady()).await.unwrap() {}
        assert!(store.event(first.seq).await.unwrap().is_some(), "{by_ms}: it is seconds old");
        store.close().await;
        drop(store);

        // The machine is up all the time, or is started anew with the clock as it was set.
        for boot in [1, 2] {
            let clock = Turned::new(boot, clock.now().0 + 10_000, if boot == 1 { 65_000 } else { 3_000 });
            let copied = tempfile::tempdir().unwrap();
            copy_folder(dir.path(), copied.path());
            let store = open(copied.path(), &clock);
            let due = store.pending_heads().await.unwrap()[0].1;
            assert_eq!(due.since(clock.steady()), Duration::from_secs(45), "{by_ms}, start {boot}");
            store.close().await;
            rows += 1;
        }
    }
    println!("counted | reliability | stores opened again with a clock that was set | {rows}");
}

#[tokio::test]
async fn a_clock_set_back_while_the_machine_is_off_delays_a_retry_by_its_own_delay_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Turned::new(1, START, 50_000);
    let store = open(dir.path(), &clock);
    let webhook = webhook(&store, &clock).await;
    let first = publish(&store, &webhook, &clock).await;
    clock.pass(20_000);
    fail(&store, DeliveryKey { event: first.seq, webhook: webhook.no }, &clock, Some(60_000)).await;
    store.close().await;
    drop(store);
    let clock = Turned::new(2, START - DAYS_10, 3_000);
    let store = open(dir.path(), &clock);
    let due = store.pending_heads().await.unwrap()[0].1;
    assert_eq!(due.since(clock.steady()), Duration::from_secs(60));
    clock.pass(86_400_000);
    let second = publish(&store, &webhook, &clock).await;
    assert!(
        !second.is_duplicate && second.seq > first.seq,
        "a day later, though the clock shows a day before"
    );
}

#[tokio::test]
async fn what_failed_is_found_by_the_time_that_the_clock_showed_then() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Turned::new(1, START, 50_000);
    let store = open(dir.path(), &clock);
    let webhook = webhook(&store, &clock).await;
    clock.set(DAYS_10);
    let event = publish(&store, &webhook, &clock).await;
    assert_eq!(Seq::first_of(UnixMs(START)), event.seq, "the place tells the time that has passed");
    let key = DeliveryKey { event: event.seq, webhook: webhook.no };
    fail(&store, key, &clock, None).await;
    let (since, until) = (UnixMs(clock.now().0 - 1_000), UnixMs(clock.now().0 + 1_000));
    let window = Window { since, until, after: Seq(0) };
    clock.set(-DAYS_10);
    clock.pass(2_000);
    assert_eq!(store.recover(webhook.no, window, true, 9, clock.now().into()).await.unwrap().count, 1);
    let resent = store.retry_delivery(key, clock.now().into()).await.unwrap();
    assert_eq!(resent.next_attempt_at, Some(clock.now()));
    assert_eq!(store.pending_heads().await.unwrap()[0].1, clock.steady(), "due at once");
}

/// An event to be sent in a minute, with a row dated by the clock as it is.
async fn wait_a_minute(store: &Embedded, webhook: &Webhook, clock: &Turned) -> DeliveryKey {
    let send_at = clock.now().plus(MINUTE);
    let event = publish_draft(store, clock, draft(webhook, Some(send_at), None)).await;
    let key = DeliveryKey { event: event.seq, webhook: webhook.no };
    let spills = vec![Spill { key, due_at: clock.steady().plus(MINUTE), chain: None }];
    store.record(RecordBatch { spills, ..RecordBatch::default() }).await.unwrap();
    key
}

async fn tidy(store: &Embedded, clock: &Turned) {
    while store.tidy(UnixMs(0), true, clock.steady()).await.unwrap() {}
}

#[tokio::test]
async fn what_waits_for_a_time_follows_a_clock_that_is_set_right_and_no_other() {
    // How far the clock is ahead when the event is accepted and later, and by how much the wait changes.
    let rows = [
        (0, DAYS_10, 0),
        (0, -DAYS_10, 0),
        (DAYS_10, 0, DAYS_10),
        (-DAYS_10, 0, -DAYS_10),
        (-DAYS_10, -3_600_000, 3_600_000 - DAYS_10),
        (-3_600_000, -DAYS_10, 0),
    ];
    for (then_ms, later_ms, moved_ms) in rows {
        for is_open in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let clock = Turned::new(1, START, 50_000);
            let mut store = open(dir.path(), &clock);
            let webhook = webhook(&store, &clock).await;
            clock.set(then_ms);
            let key = wait_a_minute(&store, &webhook, &clock).await;
            let due_at = store.pending_heads().await.unwrap()[0].1;
            tidy(&store, &clock).await;
            assert_eq!(store.pending_heads().await.unwrap()[0].1, due_at, "nothing was set meanwhile");
            if is_open {
                clock.set(later_ms - then_ms);
                tidy(&store, &clock).await;
            } else {
                store.close().await;
                drop(store);
                clock.set(later_ms - then_ms);
                store = open(dir.path(), &clock);
            }
            let moved = store.pending_heads().await.unwrap()[0].1.0 - due_at.0;
            assert_eq!(moved, moved_ms, "from {then_ms} to {later_ms}, open: {is_open}");
            let told = store.delivery(key).await.unwrap().unwrap().0.next_attempt_at.unwrap();
            assert_eq!(told.0, due_at.0 + moved_ms + later_ms, "as people's clocks show it");
        }
    }
    println!("counted | reliability | waits for a time while the clock was set | {}", 2 * rows.len());
}

#[tokio::test]
async fn thousands_that_wait_for_a_time_are_dated_anew_in_steps() {
    const MANY: usize = 2_500;
    let dir = tempfile::tempdir().unwrap();
    let clock = Turned::new(1, START, 50_000);
    let store = open(dir.path(), &clock);
    let webhook = webhook(&store, &clock).await;
    clock.set(-DAYS_10);
    let send_at = Some(clock.now().plus(MINUTE));
    let drafts = (0..MANY).map(|_| draft(&webhook, send_at, None)).collect();
    let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 1..1, account_at: None };
    let published = store.publish(drafts, &|_, _, _| body(), clock.now()).await.unwrap();
    let due_at = clock.steady().plus(MINUTE);
    // Retries among them wait as they did.
    let retry = DeliveryKey { event: published[7].unwrap().seq, webhook: webhook.no };
    let others = published.iter().map(|one| one.unwrap().seq).filter(|seq| *seq != retry.event);
    let spills = others
        .map(|event| Spill { key: DeliveryKey { event, webhook: webhook.no }, due_at, chain: None })
        .collect();
    store.record(RecordBatch { spills, ..RecordBatch::default() }).await.unwrap();
    fail(&store, retry, &clock, Some(60_000)).await;
    clock.set(DAYS_10 - 30_000);
    clock.pass(1_000);
    assert!(store.tidy(UnixMs(0), true, clock.steady()).await.unwrap(), "one step is not all");
    // The process ends between two steps.
    store.close().await;
    drop(store);
    let store = open(dir.path(), &clock);
    tidy(&store, &clock).await;
    let every = PendingQuery::first(webhook.no, UnixMs(i64::MAX), MANY);
    let rows = store.pending(every).await.unwrap().rows;
    let moved = rows.iter().filter(|row| row.due_at.0 == due_at.0 - DAYS_10 + 30_000).count();
    assert_eq!((rows.len(), moved), (MANY, MANY - 1));
    assert!(rows.iter().any(|row| row.key == retry && row.due_at == due_at));
}

#[tokio::test]
async fn what_is_sent_again_waits_for_its_time_only_if_it_was_never_tried() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Turned::new(1, START, 50_000);
    let store = open(dir.path(), &clock);
    let webhook = webhook(&store, &clock).await;
    let (tried, canceled) =
        (wait_a_minute(&store, &webhook, &clock).await, wait_a_minute(&store, &webhook, &clock).await);
    let cancels = vec![(canceled, "webhook_disabled")];
    store.record(RecordBatch { cancels, ..RecordBatch::default() }).await.unwrap();
    fail(&store, tried, &clock, None).await;
    clock.set(-DAYS_10);
    let resent = async |key| {
        let delivery = store.retry_delivery(key, clock.now().into()).await.unwrap();
        delivery.next_attempt_at.unwrap().since(clock.now())
    };
    assert_eq!(resent(tried).await, Duration::ZERO);
    assert!((MINUTE..=MINUTE + Duration::from_secs(1)).contains(&resent(canceled).await));
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
