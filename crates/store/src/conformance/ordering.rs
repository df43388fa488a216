//! Events with an ordering key: of each key, one at a time at each webhook.

use std::sync::Arc;

use posthaste_core::delivery::reasons;
use posthaste_core::{
    Audience, DeliveryKey, DeliveryState, OrderingKey, Seq, UnixMs, WebhookNo, WebhookState,
};

use super::scene::{NOW, Scene, after_s, begin, body, delivered, draft, failed, retried};
use crate::change::{EventDraft, RecordBatch, Spill, WebhookPatch, Window};
use crate::page::PendingQuery;
use crate::store::Store;

/// Everything was accepted after this.
const NEVER: UnixMs = UnixMs(0);

impl Scene {
    async fn ordered(&self, key: Option<&str>, at: UnixMs) -> Seq {
        let ordering_key = key.map(|key| OrderingKey::new(key).unwrap());
        let drafts = vec![EventDraft { ordering_key, ..draft(Audience::Account(self.account.no)) }];
        self.store.publish(drafts, &|_, _, _| body("{}"), at).await.unwrap()[0].unwrap().seq
    }

    /// Gives an event's delivery its row, as the engine does.
    async fn queue(&self, event: Seq, webhook: WebhookNo) -> DeliveryKey {
        let event = self.store.event(event).await.unwrap().unwrap();
        let key = DeliveryKey { event: event.seq, webhook };
        let spills = vec![Spill { key, due_at: event.due_at(), chain: event.chain() }];
        self.store.record(RecordBatch { spills, ..RecordBatch::default() }).await.unwrap();
        key
    }

    /// So many events of one key, one a second, each with its row.
    async fn chain(&self, key: &str, webhook: WebhookNo, count: u64) -> Vec<DeliveryKey> {
        let mut keys = Vec::new();
        for second in 0..count {
            let event = self.ordered(Some(key), after_s(second)).await;
            keys.push(self.queue(event, webhook).await);
        }
        keys
    }

    /// What is due by then, by due time.
    async fn due(&self, webhook: WebhookNo, by: UnixMs) -> Vec<DeliveryKey> {
        let read = self.store.pending(PendingQuery::first(webhook, by, 99)).await.unwrap();
        read.rows.into_iter().map(|row| row.key).collect()
    }

    async fn is_waiting(&self, key: DeliveryKey) -> bool {
        let (delivery, _, _) = self.store.delivery(key).await.unwrap().unwrap();
        let is_waiting = delivery.reason.as_deref() == Some(reasons::WAITING_FOR_ORDER);
        assert_eq!(
            is_waiting,
            delivery.state == DeliveryState::Pending && delivery.next_attempt_at.is_none()
        );
        is_waiting
    }

    async fn set(&self, webhook: WebhookNo, state: WebhookState, at: UnixMs) {
        self.patch(webhook, WebhookPatch { state: Some(state), ..WebhookPatch::default() }, at).await;
    }
}

pub async fn an_event_keeps_its_ordering_key(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    for key in [None, Some("order:1"), Some("~")] {
        let event = scene.ordered(key, NOW).await;
        let read = store.event(event).await.unwrap().unwrap();
        assert_eq!(read.ordering_key.as_ref().map(OrderingKey::as_str), key);
        let listed = store.events_after(Seq(event.0 - 1), 9).await.unwrap();
        assert_eq!(listed[0].ordering_key, read.ordering_key);
    }
}

pub async fn of_a_chain_one_is_due_at_a_time(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let (a, b) = (scene.webhook("a").await.no, scene.webhook("b").await.no);
    let chain = scene.chain("order:1", a, 4).await;
    let other = scene.chain("order:2", a, 2).await;
    let plain = scene.ordered(None, after_s(9)).await;
    let plain = scene.queue(plain, a).await;
    let elsewhere = scene.queue(chain[1].event, b).await;
    let by = after_s(99);
    assert_eq!(scene.due(a, by).await, [chain[0], other[0], plain]);
    assert_eq!(scene.due(b, by).await, [elsewhere], "each webhook has a chain of its own");
    assert!(scene.is_waiting(chain[1]).await && !scene.is_waiting(chain[0]).await);
    let read = store.pending(PendingQuery::first(a, by, 99)).await.unwrap();
    assert_eq!(read.next, None, "nothing else is due at a known time");
    assert_eq!(store.pending_heads().await.unwrap(), [(a, NOW), (b, after_s(1))]);
    scene.record(vec![retried(chain[0], 1, after_s(10), after_s(50))]).await;
    assert_eq!(scene.due(a, after_s(49)).await, [other[0], plain], "a retry holds the others up");
    scene.record(vec![failed(chain[0], 2, after_s(50))]).await;
    assert_eq!(scene.due(a, by).await, [other[0], chain[1], plain]);
    let cancels = vec![(chain[1], reasons::WEBHOOK_DELETED)];
    store.record(RecordBatch { cancels, ..RecordBatch::default() }).await.unwrap();
    assert_eq!(scene.due(a, by).await, [other[0], chain[2], plain]);
    scene.record(vec![delivered(chain[2], 1, after_s(51))]).await;
    scene.record(vec![delivered(chain[2], 1, after_s(51))]).await;
    assert_eq!(scene.due(a, by).await, [other[0], chain[3], plain], "recorded twice, passed on once");
    scene.record(vec![delivered(chain[3], 1, after_s(52)), delivered(other[0], 1, after_s(52))]).await;
    assert_eq!(scene.due(a, by).await, [other[1], plain]);
    let next = scene.ordered(Some("order:1"), after_s(60)).await;
    let next = scene.queue(next, a).await;
    assert!(!scene.is_waiting(next).await, "the chain had ended");
}

pub async fn a_long_chain_goes_in_order_of_acceptance(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let chain = scene.chain("k", webhook, 30).await;
    for (number, key) in chain.iter().enumerate() {
        assert_eq!(scene.due(webhook, after_s(9_999)).await, [*key]);
        let at = after_s(100 + number as u64);
        scene.record(vec![if number % 3 == 0 { failed(*key, 1, at) } else { delivered(*key, 1, at) }]).await;
    }
    assert!(store.pending_heads().await.unwrap().is_empty());
}

pub async fn resuming_and_a_clock_set_back_let_nothing_pass(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    scene.tidy(NEVER, true, after_s(864_000)).await;
    scene.set(webhook, WebhookState::Paused, NOW).await;
    let chain = scene.chain("k", webhook, 3).await;
    scene.record(vec![retried(chain[0], 1, after_s(5), after_s(20))]).await;
    scene.set(webhook, WebhookState::Active, after_s(100)).await;
    assert_eq!(scene.due(webhook, after_s(100)).await, [chain[0]]);
    scene.tidy(NEVER, true, after_s(2)).await;
    assert_eq!(scene.due(webhook, after_s(9_999)).await, [chain[0]]);
    scene.record(vec![delivered(chain[0], 2, after_s(2))]).await;
    assert_eq!(scene.due(webhook, after_s(2)).await, [chain[1]], "a clock set back does not strand it");
    assert!(scene.is_waiting(chain[2]).await);
}

pub async fn what_a_disabling_ended_comes_back_in_order(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let chain = scene.chain("k", webhook, 3).await;
    scene.set(webhook, WebhookState::Disabled, after_s(10)).await;
    scene.tidy(NEVER, true, after_s(11)).await;
    for key in &chain {
        let canceled = (DeliveryState::Canceled, Some(reasons::WEBHOOK_DISABLED.to_owned()));
        assert_eq!(scene.state(*key).await, Some(canceled));
    }
    scene.set(webhook, WebhookState::Active, after_s(12)).await;
    let later = scene.ordered(Some("k"), after_s(13)).await;
    let later = scene.queue(later, webhook).await;
    let window = Window { since: NOW, until: after_s(60), after: Seq(0) };
    assert_eq!(store.recover(webhook, window, false, 9, after_s(14).into()).await.unwrap().count, 3);
    for key in [later, chain[0], chain[1], chain[2]] {
        assert_eq!(scene.due(webhook, after_s(99)).await, [key], "first what has its turn, then by age");
        scene.record(vec![delivered(key, 1, after_s(20))]).await;
    }
}

pub async fn what_is_sent_again_waits_for_the_one_that_is_tried(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let chain = scene.chain("k", webhook, 3).await;
    scene.record(vec![delivered(chain[0], 1, after_s(10))]).await;
    let again = store.retry_delivery(chain[0], after_s(11).into()).await.unwrap();
    assert_eq!((again.next_attempt_at, again.reason.as_deref()), (None, Some(reasons::WAITING_FOR_ORDER)));
    assert_eq!(store.delivery(chain[0]).await.unwrap().unwrap().0, again);
    assert_eq!(scene.due(webhook, after_s(99)).await, [chain[1]]);
    scene.record(vec![delivered(chain[1], 1, after_s(12))]).await;
    assert_eq!(scene.due(webhook, after_s(99)).await, [chain[0]], "before all later ones");
    assert_eq!(scene.state(chain[0]).await.unwrap().1.as_deref(), Some(reasons::RESENT));
    scene.record(vec![delivered(chain[0], 2, after_s(13))]).await;
    scene.record(vec![delivered(chain[2], 1, after_s(14))]).await;
    let alone = store.retry_delivery(chain[1], after_s(15).into()).await.unwrap();
    assert_eq!(alone.next_attempt_at, Some(after_s(15)));
}

pub async fn an_attempt_that_ends_late_lets_nothing_pass(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let chain = scene.chain("k", webhook, 2).await;
    // An attempt is under way when the webhook is switched off, and ends when it is on again.
    scene.set(webhook, WebhookState::Disabled, after_s(10)).await;
    scene.tidy(NEVER, true, after_s(11)).await;
    scene.set(webhook, WebhookState::Active, after_s(12)).await;
    let later = scene.ordered(Some("k"), after_s(13)).await;
    let later = scene.queue(later, webhook).await;
    scene.record(vec![retried(chain[0], 1, after_s(9), after_s(40))]).await;
    let canceled = (DeliveryState::Canceled, Some(reasons::WEBHOOK_DISABLED.to_owned()));
    assert_eq!(scene.state(chain[0]).await, Some(canceled), "others may have gone since");
    assert_eq!(scene.due(webhook, after_s(99)).await, [later]);
    store.retry_delivery(chain[0], after_s(14).into()).await.unwrap();
    scene.record(vec![retried(chain[0], 2, after_s(14), after_s(41))]).await;
    assert!(scene.is_waiting(chain[0]).await);
    scene.record(vec![delivered(chain[0], 3, after_s(15))]).await;
    assert_eq!(scene.due(webhook, after_s(99)).await, [later], "it had no turn to pass on");
}

pub async fn a_deleted_webhooks_chains_go_to_their_ends(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    for drop_queued in [false, true] {
        let webhook = scene.webhook(&format!("drops-{drop_queued}")).await.no;
        let chain = scene.chain("k", webhook, 600).await;
        store.delete_webhook(webhook, NOW.into()).await.unwrap();
        scene.checkpoint(chain[599].event).await;
        if drop_queued {
            // One step ends some; what is left is still one chain.
            assert!(store.tidy(NEVER, true, after_s(1)).await.unwrap());
            assert_eq!(scene.due(webhook, after_s(9_999)).await, [chain[0]]);
            scene.tidy(NEVER, true, after_s(1)).await;
        } else {
            scene.tidy(after_s(5_000), false, after_s(1)).await;
            for key in &chain {
                assert_eq!(scene.due(webhook, after_s(9_999)).await, [*key]);
                scene.record(vec![delivered(*key, 1, after_s(1))]).await;
            }
            scene.tidy(NEVER, false, after_s(1)).await;
        }
        assert!(store.roster().get(webhook).is_none());
    }
}
