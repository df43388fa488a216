//! What the engine remembers, and deliveries sent again.

use std::sync::Arc;

use posthaste_core::delivery::reasons;
use posthaste_core::{DeliveryKey, DeliveryState, Health, Seq, UnixMs, WebhookNo, WebhookState};

use super::scene::{NOW, after_s, answered, begin, broken, delivered, failed, retried};
use crate::change::{RecordBatch, Spill, WebhookPatch, Window};
use crate::error::{Refusal, StoreError};
use crate::page::{PendingQuery, PendingRead};
use crate::store::{Hint, Store};

pub async fn a_first_attempt_is_remembered_whole(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let (one, two) = (scene.event(NOW).await, scene.event(NOW).await);
    let key = DeliveryKey { event: one, webhook };
    assert!(store.delivery(key).await.unwrap().is_none());
    let retry = DeliveryKey { event: two, webhook };
    scene.record(vec![delivered(key, 1, after_s(1)), retried(retry, 1, after_s(2), after_s(7))]).await;
    let (delivery, event, attempts) = store.delivery(key).await.unwrap().unwrap();
    assert_eq!(
        (delivery.state, delivery.attempts, delivery.last_status),
        (DeliveryState::Delivered, 1, Some(204))
    );
    assert_eq!(delivery.delivered_at, Some(answered(1, 204, after_s(1)).finished_at()));
    assert_eq!(delivery.last_attempt_at, delivery.delivered_at);
    assert_eq!((event.seq, attempts), (one, vec![answered(1, 204, after_s(1))]));
    let (delivery, _, attempts) = store.delivery(retry).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.next_attempt_at), (DeliveryState::Pending, Some(after_s(7))));
    assert_eq!((delivery.last_status, delivery.delivered_at), (None, None));
    assert_eq!(attempts, vec![broken(1, after_s(2))]);
    scene.record(vec![delivered(retry, 2, after_s(8))]).await;
    let (delivery, _, attempts) = store.delivery(retry).await.unwrap().unwrap();
    assert_eq!(
        (delivery.state, delivery.next_attempt_at, delivery.attempts),
        (DeliveryState::Delivered, None, 2)
    );
    assert_eq!(attempts, vec![broken(1, after_s(2)), answered(2, 204, after_s(8))]);
    assert_eq!(store.written(one).await.unwrap(), [webhook]);
    assert_eq!(store.deliveries_of_event(two, 9).await.unwrap(), [delivery]);
}

pub async fn an_attempt_recorded_twice_changes_nothing(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let key = DeliveryKey { event: scene.event(NOW).await, webhook };
    scene.record(vec![retried(key, 1, NOW, after_s(5)), retried(key, 2, after_s(5), after_s(9))]).await;
    let before = store.delivery(key).await.unwrap().unwrap();
    scene.record(vec![failed(key, 1, after_s(6)), failed(key, 2, after_s(6))]).await;
    let after = store.delivery(key).await.unwrap().unwrap();
    assert_eq!((before.0, before.2), (after.0, after.2));
    assert_eq!(store.attempts(webhook, None, 9).await.unwrap().items.len(), 2);
    assert_eq!(store.delivery_count(webhook).await.unwrap(), 1);
}

pub async fn attempts_out_of_order_do_not_turn_a_delivery_back(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let key = DeliveryKey { event: scene.event(NOW).await, webhook };
    scene.record(vec![delivered(key, 3, after_s(9))]).await;
    scene.record(vec![retried(key, 2, after_s(5), after_s(9)), retried(key, 1, NOW, after_s(5))]).await;
    let (delivery, _, attempts) = store.delivery(key).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 3));
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(store.pending_heads().await.unwrap().is_empty());
    let unknown = DeliveryKey { webhook: WebhookNo(99), ..key };
    scene.record(vec![delivered(unknown, 1, NOW)]).await;
    assert!(store.delivery(unknown).await.unwrap().is_none(), "nobody knows the webhook");
}

pub async fn pending_rows_come_by_due_time_then_age(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let (a, b) = (scene.webhook("a").await.no, scene.webhook("b").await.no);
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(scene.event(NOW).await);
    }
    let key = |index: usize| DeliveryKey { event: events[index], webhook: a };
    scene.record(vec![retried(key(0), 1, NOW, after_s(30))]).await;
    for (index, due_s) in [(3, 10), (2, 10), (1, 20)] {
        scene.spill(key(index), after_s(due_s)).await;
    }
    let pending = async |until: UnixMs, limit: usize| {
        let PendingRead { rows, next, .. } =
            store.pending(PendingQuery::first(a, until, limit)).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.event.seq, row.attempts, row.due_at)).collect();
        (rows, next)
    };
    let by_age = vec![(events[2], 0, after_s(10)), (events[3], 0, after_s(10)), (events[1], 0, after_s(20))];
    assert_eq!(pending(after_s(20), 9).await, (by_age.clone(), Some(after_s(30))));
    assert_eq!(pending(after_s(20), 2).await, (by_age[..2].to_vec(), Some(after_s(20))));
    assert_eq!(pending(after_s(5), 9).await, (vec![], Some(after_s(10))));
    let (all, next) = pending(after_s(99), 9).await;
    assert_eq!((all[3], next), ((events[0], 1, after_s(30)), None));
    assert_eq!(pending(NOW, 0).await, (vec![], Some(after_s(10))));
    assert_eq!(store.pending(PendingQuery::first(b, after_s(99), 9)).await.unwrap().next, None);
    for (until, limit, expected) in [
        (after_s(20), 9, &[1, 3, 2][..]),
        (after_s(99), 2, &[1, 3]),
        (after_s(15), 9, &[3, 2]),
        (NOW, 9, &[]),
    ] {
        let read = store.pending(PendingQuery::newest(a, until, limit)).await.unwrap();
        let rows: Vec<Seq> = read.rows.iter().map(|row| row.event.seq).collect();
        assert_eq!(rows, expected.iter().map(|index| events[*index]).collect::<Vec<_>>());
    }
    assert_eq!(store.pending_heads().await.unwrap(), [(a, after_s(10))]);
    let listed = store.deliveries(a, None, 9).await.unwrap().items;
    let listed: Vec<Seq> = listed.iter().map(|row| row.event.seq).collect();
    assert_eq!(listed, [events[1], events[3], events[2], events[0]]);
}

pub async fn spills_and_cancels_respect_what_is_written(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(DeliveryKey { event: scene.event(NOW).await, webhook });
    }
    scene.record(vec![delivered(keys[0], 1, NOW)]).await;
    let spills = keys[..2].iter().map(|key| Spill { key: *key, due_at: after_s(9), chain: None }).collect();
    store.record(RecordBatch { spills, ..RecordBatch::default() }).await.unwrap();
    assert_eq!(scene.state(keys[0]).await, Some((DeliveryState::Delivered, None)));
    assert_eq!(scene.state(keys[1]).await, Some((DeliveryState::Pending, None)));
    let cancels = keys.iter().map(|key| (*key, reasons::WEBHOOK_DELETED)).collect();
    store.record(RecordBatch { cancels, ..RecordBatch::default() }).await.unwrap();
    let canceled = Some((DeliveryState::Canceled, Some(reasons::WEBHOOK_DELETED.to_owned())));
    assert_eq!(scene.state(keys[0]).await, Some((DeliveryState::Delivered, None)));
    assert_eq!(scene.state(keys[1]).await, canceled);
    assert_eq!(scene.state(keys[2]).await, canceled);
    assert!(store.pending_heads().await.unwrap().is_empty());
    scene.record(vec![delivered(keys[2], 1, after_s(1))]).await;
    assert_eq!(scene.state(keys[2]).await, Some((DeliveryState::Delivered, None)), "it was under way");
}

pub async fn failing_webhooks_are_disabled_once(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let (active, paused) = (scene.webhook("a").await.no, scene.webhook("b").await.no);
    let pause = WebhookPatch { state: Some(WebhookState::Paused), ..WebhookPatch::default() };
    scene.patch(paused, pause, NOW).await;
    let mut hints = store.hints();
    let health =
        Health { consecutive_failures: 10, last_attempt_at: Some(after_s(3)), last_success_at: Some(NOW) };
    let batch = RecordBatch {
        health: vec![(active, health)],
        disable: vec![(active, "failing"), (paused, "failing"), (WebhookNo(99), "failing")],
        ..RecordBatch::default()
    };
    store.record(batch).await.unwrap();
    let stored = store.webhook(scene.account.no, None, "a").await.unwrap().unwrap();
    assert!(stored.state == WebhookState::Disabled && stored.health == health);
    assert_eq!(stored.updated_at, after_s(3));
    assert_eq!(store.roster().get(active).unwrap().state, WebhookState::Disabled);
    assert_eq!(store.roster().get(paused).unwrap().state, WebhookState::Paused);
    assert!(matches!(hints.try_recv(), Ok(Hint::Webhook(no)) if no == active));
    assert!(hints.try_recv().is_err());
}

pub async fn the_checkpoint_never_goes_back(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    assert_eq!(store.checkpoint().await.unwrap(), Seq(0));
    for (given, expected) in [(5, 5), (3, 5), (9, 9)] {
        scene.checkpoint(Seq(given)).await;
        assert_eq!(store.checkpoint().await.unwrap(), Seq(expected));
    }
}

pub async fn ended_deliveries_are_sent_again_on_demand(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let key = DeliveryKey { event: scene.event(NOW).await, webhook };
    let wrong_state = |answer| matches!(answer, Err(StoreError::Refused(Refusal::WrongState)));
    let unknown = store.retry_delivery(key, NOW.into()).await;
    assert!(matches!(unknown, Err(StoreError::Refused(Refusal::NotFound))));
    scene.record(vec![delivered(key, 1, NOW)]).await;
    let mut hints = store.hints();
    let resent = store.retry_delivery(key, after_s(5).into()).await.unwrap();
    assert_eq!((resent.state, resent.next_attempt_at), (DeliveryState::Pending, Some(after_s(5))));
    assert_eq!(resent.reason.as_deref(), Some(reasons::RESENT));
    assert_eq!(store.delivery(key).await.unwrap().unwrap().0, resent);
    assert!(matches!(hints.try_recv(), Ok(Hint::Webhook(no)) if no == webhook));
    assert!(wrong_state(store.retry_delivery(key, NOW.into()).await));
    scene.record(vec![failed(key, 2, after_s(6))]).await;
    let (delivery, _, attempts) = store.delivery(key).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.delivered_at, attempts.len()), (DeliveryState::Failed, None, 2));
    store.delete_webhook(webhook, NOW.into()).await.unwrap();
    assert!(wrong_state(store.retry_delivery(key, NOW.into()).await));
}

pub async fn recovery_takes_failed_ones_of_a_window(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let mut keys = Vec::new();
    for second in 0..6 {
        keys.push(DeliveryKey { event: scene.event(after_s(second)).await, webhook });
    }
    let ends = keys[..4].iter().map(|key| failed(*key, 1, after_s(9))).collect();
    scene.record(ends).await;
    let cancels = vec![(keys[4], reasons::WEBHOOK_DISABLED), (keys[5], reasons::WEBHOOK_DELETED)];
    store.record(RecordBatch { cancels, ..RecordBatch::default() }).await.unwrap();
    let window = Window { since: after_s(1), until: after_s(6), after: Seq(0) };
    for (dry_run, limit, expected) in
        [(true, 9, 4), (true, 2, 2), (false, 3, 3), (false, 9, 1), (false, 9, 0)]
    {
        let found = store.recover(webhook, window, dry_run, limit, after_s(20).into()).await.unwrap();
        assert_eq!(found.count, expected, "dry run {dry_run} limit {limit}");
    }
    let rows = store.pending(PendingQuery::first(webhook, after_s(20), 9)).await.unwrap().rows;
    let sent_again: Vec<DeliveryKey> = rows.iter().map(|row| row.key).collect();
    assert_eq!(sent_again, keys[1..5]);
    scene.record(keys[1..4].iter().map(|key| failed(*key, 2, after_s(21))).collect()).await;
    for (after, expected) in [(1, Some(keys[3].event)), (3, None)] {
        let window = Window { after: keys[after].event, ..window };
        let found = store.recover(webhook, window, true, 9, after_s(22).into()).await.unwrap();
        assert_eq!(found.last, expected, "behind the one that failed again is the next");
    }
    assert_eq!(scene.state(keys[0]).await.unwrap().0, DeliveryState::Failed);
    let unknown = store.recover(WebhookNo(99), window, true, 9, NOW.into()).await;
    assert!(matches!(unknown, Err(StoreError::Refused(Refusal::NotFound))));
}

pub async fn resuming_makes_overdue_retries_due_by_age(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let mut keys = Vec::new();
    for second in 0..3 {
        keys.push(DeliveryKey { event: scene.event(after_s(second)).await, webhook });
    }
    let health = Health { consecutive_failures: 4, ..Health::default() };
    let batch = RecordBatch {
        attempts: vec![
            retried(keys[0], 1, after_s(3), after_s(50)),
            retried(keys[1], 1, after_s(3), after_s(20)),
            retried(keys[2], 1, after_s(3), after_s(500)),
        ],
        health: vec![(webhook, health)],
        ..RecordBatch::default()
    };
    store.record(batch).await.unwrap();
    let resume = WebhookPatch { state: Some(WebhookState::Active), ..WebhookPatch::default() };
    let resumed = scene.patch(webhook, resume, after_s(100)).await;
    assert_eq!(resumed.health.consecutive_failures, 0);
    let stored = store.webhook(scene.account.no, None, "a").await.unwrap().unwrap();
    assert_eq!(stored.health.consecutive_failures, 0);
    let PendingRead { rows, next, .. } =
        store.pending(PendingQuery::first(webhook, after_s(100), 9)).await.unwrap();
    let due: Vec<_> = rows.iter().map(|row| (row.key, row.due_at)).collect();
    assert_eq!(due, [(keys[0], after_s(0)), (keys[1], after_s(1))]);
    assert_eq!(next, Some(after_s(500)));
}
