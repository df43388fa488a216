//! A webhook's history.

use std::sync::Arc;

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

pub async fn a_delivery_that_waits_is_not_yet_history(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let key = DeliveryKey { event: scene.event(NOW).await, webhook };
    scene.spill(key, after_s(1)).await;
    assert!(store.deliveries(webhook, None, 9).await.unwrap().items.is_empty());
    assert_eq!(store.delivery_count(webhook).await.unwrap(), 0);
    assert_eq!(store.unattempted(webhook, 9).await.unwrap().len(), 1);
    scene.record(vec![retried(key, 1, after_s(1), after_s(6))]).await;
    assert_eq!(store.deliveries(webhook, None, 9).await.unwrap().items.len(), 1);
    assert_eq!(store.delivery_count(webhook).await.unwrap(), 1);
    assert!(store.unattempted(webhook, 9).await.unwrap().is_empty());
}
