//! A webhook's history.

use std::sync::Arc;

use posthaste_core::delivery::reasons;
use posthaste_core::{DeliveryKey, Seq};

use super::scene::{NOW, after_s, begin, delivered, failed, retried};
use crate::change::RecordBatch;
use crate::store::Store;

pub async fn attempts_and_deliveries_page_newest_first(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let (webhook, other) = (scene.webhook("a").await.no, scene.webhook("b").await.no);
    let (one, two) = (scene.event(NOW).await, scene.event(NOW).await);
    let key = |event: Seq| DeliveryKey { event, webhook };
    scene.record(vec![retried(key(one), 1, NOW, after_s(5))]).await;
    scene.record(vec![delivered(DeliveryKey { event: one, webhook: other }, 1, NOW)]).await;
    scene
        .record(vec![delivered(key(two), 1, after_s(1)), retried(key(one), 2, after_s(5), after_s(9))])
        .await;
    scene.record(vec![failed(key(one), 3, after_s(9))]).await;
    let mut from = None;
    let mut attempts = Vec::new();
    loop {
        let slice = store.attempts(webhook, from, 1).await.unwrap();
        attempts.extend(slice.items.iter().map(|row| (row.event.seq, row.attempt.as_ref().unwrap().number)));
        from = slice.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(attempts, [(one, 3), (one, 2), (two, 1), (one, 1)]);
    let slice = store.deliveries(webhook, None, 9).await.unwrap();
    let deliveries: Vec<_> =
        slice.items.iter().map(|row| (row.event.seq, row.attempt.as_ref().unwrap().number)).collect();
    assert_eq!((deliveries, slice.next), (vec![(two, 1), (one, 3)], None));
    let first = store.deliveries(webhook, None, 1).await.unwrap();
    let second = store.deliveries(webhook, first.next, 1).await.unwrap();
    assert_eq!((second.items[0].event.seq, second.next), (one, None));
    assert_eq!(store.delivery_count(webhook).await.unwrap(), 2);
    assert_eq!(store.attempts(other, None, 9).await.unwrap().items.len(), 1);
}

pub async fn a_long_history_pages_without_gap_or_repeat(store: Arc<dyn Store>) {
    const EVENTS: usize = 500;
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let mut keys = Vec::new();
    for _ in 0..EVENTS {
        keys.push(DeliveryKey { event: scene.event(NOW).await, webhook });
    }
    for round in keys.chunks(50) {
        let firsts = round.iter().map(|key| retried(*key, 1, NOW, after_s(5)));
        let seconds = round.iter().map(|key| delivered(*key, 2, after_s(5)));
        let attempts = firsts.chain(seconds).collect();
        store.record(RecordBatch { attempts, ..RecordBatch::default() }).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut from = None;
    loop {
        let slice = store.deliveries(webhook, from, 37).await.unwrap();
        seen.extend(slice.items.iter().map(|row| row.delivery.key));
        from = slice.next;
        if from.is_none() {
            break;
        }
    }
    keys.reverse();
    assert_eq!(seen, keys);
    assert_eq!(store.attempts(webhook, None, 5_000).await.unwrap().items.len(), 2 * EVENTS);
    assert_eq!(store.delivery_count(webhook).await.unwrap(), EVENTS as u64);
}

pub async fn a_delivery_that_waits_is_listed_and_not_yet_history(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let key = DeliveryKey { event: scene.event(NOW).await, webhook };
    scene.spill(key, after_s(1)).await;
    let listed = store.deliveries(webhook, None, 9).await.unwrap().items.remove(0);
    assert_eq!((listed.delivery.attempts, listed.attempt), (0, None));
    assert!(store.attempts(webhook, None, 9).await.unwrap().items.is_empty());
    assert_eq!(store.delivery_count(webhook).await.unwrap(), 1);
    scene.record(vec![retried(key, 1, after_s(1), after_s(6))]).await;
    let listed = store.deliveries(webhook, None, 9).await.unwrap().items;
    assert_eq!(listed.iter().map(|row| row.delivery.attempts).collect::<Vec<_>>(), [1]);
    assert_eq!(store.attempts(webhook, None, 9).await.unwrap().items.len(), 1);
    assert_eq!(store.delivery_count(webhook).await.unwrap(), 1);
}

pub async fn a_list_has_every_delivery_once(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let (webhook, other) = (scene.webhook("a").await.no, scene.webhook("b").await.no);
    let mut events = Vec::new();
    for _ in 0..12 {
        events.push(scene.event(NOW).await);
    }
    let key = |index: usize| DeliveryKey { event: events[index], webhook };
    scene.record(vec![delivered(key(0), 1, NOW), retried(key(1), 1, NOW, after_s(5))]).await;
    scene.record(vec![failed(key(2), 1, NOW), retried(key(3), 1, NOW, after_s(5))]).await;
    for (index, due_s) in [(4, 7), (5, 7), (6, 9), (7, 8), (8, 7)] {
        scene.spill(key(index), after_s(due_s)).await;
        scene.spill(DeliveryKey { event: events[index], webhook: other }, after_s(due_s)).await;
    }
    // What was attempted before it was canceled stands where it was attempted.
    let cancels = [9, 10, 11, 1, 8].map(|index| (key(index), reasons::WEBHOOK_DISABLED)).into();
    store.record(RecordBatch { cancels, ..RecordBatch::default() }).await.unwrap();
    let expected = [6, 7, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8].map(|index| events[index]);
    for limit in 1..=expected.len() + 1 {
        let (mut from, mut seen) = (None, Vec::new());
        for _ in 0..expected.len() {
            let slice = store.deliveries(webhook, from, limit).await.unwrap();
            assert_eq!(slice.items.len(), limit.min(expected.len() - seen.len()), "{limit}");
            seen.extend(slice.items.iter().map(|row| row.event.seq));
            from = slice.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!((seen, from), (expected.to_vec(), None), "{limit}");
    }
    assert_eq!(store.delivery_count(webhook).await.unwrap(), expected.len() as u64);
    assert_eq!(store.deliveries(other, None, 99).await.unwrap().items.len(), 5);
    assert_eq!(store.delivery_count(other).await.unwrap(), 5);
    // One that is attempted while somebody goes along is seen before and after.
    let first = store.deliveries(webhook, None, 2).await.unwrap();
    scene.record(vec![delivered(key(6), 1, after_s(9)), delivered(key(5), 1, after_s(9))]).await;
    let rest = store.deliveries(webhook, first.next, 99).await.unwrap();
    let rest: Vec<Seq> = rest.items.iter().map(|row| row.event.seq).collect();
    assert_eq!(rest, [4, 5, 6, 3, 2, 1, 0, 11, 10, 9, 8].map(|index| events[index]));
}
