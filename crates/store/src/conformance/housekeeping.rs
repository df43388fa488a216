//! What goes, and what has to stay.

use std::sync::Arc;
use std::time::Duration;

use posthaste_core::delivery::reasons;
use posthaste_core::{Audience, DeliveryKey, DeliveryState, Seq, UnixMs, WebhookState};
use tokio::task::JoinSet;

use super::scene::{NOW, after_s, begin, body, delivered, draft, failed, new_account, new_webhook, retried};
use crate::change::{EventDraft, IdempotencyKey, RecordBatch, WebhookLimits, WebhookPatch, Window};
use crate::store::Store;

const NEVER: UnixMs = UnixMs(0);

pub async fn pending_deliveries_of_deleted_and_disabled_webhooks_end(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let mut keys = Vec::new();
    for id in ["deleted", "disabled", "paused"] {
        let webhook = scene.webhook(id).await.no;
        let key = DeliveryKey { event: scene.event(NOW).await, webhook };
        scene.record(vec![retried(key, 1, NOW, after_s(5))]).await;
        keys.push(key);
    }
    store.delete_webhook(keys[0].webhook, NOW.into()).await.unwrap();
    for (key, state) in [(keys[1], WebhookState::Disabled), (keys[2], WebhookState::Paused)] {
        scene.patch(key.webhook, WebhookPatch { state: Some(state), ..WebhookPatch::default() }, NOW).await;
    }
    scene.tidy(NEVER, false, NOW).await;
    let canceled = |reason: &str| Some((DeliveryState::Canceled, Some(reason.to_owned())));
    assert_eq!(scene.state(keys[0]).await, Some((DeliveryState::Pending, None)), "it is carried to its end");
    assert_eq!(scene.state(keys[1]).await, canceled(reasons::WEBHOOK_DISABLED));
    assert_eq!(scene.state(keys[2]).await, Some((DeliveryState::Pending, None)));
    scene.tidy(NEVER, true, NOW).await;
    assert_eq!(scene.state(keys[0]).await, canceled(reasons::WEBHOOK_DELETED));
    assert_eq!(scene.state(keys[2]).await, Some((DeliveryState::Pending, None)));
}

pub async fn many_webhooks_that_are_off_do_not_hide_one_with_rows(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let off = || WebhookPatch { state: Some(WebhookState::Disabled), ..WebhookPatch::default() };
    let mut tasks = JoinSet::new();
    for number in 0..520 {
        let (store, new) = (store.clone(), new_webhook(scene.account.no, &format!("off{number}")));
        tasks.spawn(async move {
            let no = store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap().no;
            store.update_webhook(no, off(), WebhookLimits::default(), NOW.into()).await.unwrap();
        });
    }
    tasks.join_all().await;
    let last = scene.webhook("last").await.no;
    scene.patch(last, off(), NOW).await;
    let key = DeliveryKey { event: scene.event(NOW).await, webhook: last };
    scene.record(vec![retried(key, 1, NOW, after_s(5))]).await;
    assert!(store.tidy(NEVER, true, NOW).await.unwrap(), "a step is small");
    for _ in 0..2 {
        scene.tidy(NEVER, true, NOW).await;
        let canceled = Some((DeliveryState::Canceled, Some(reasons::WEBHOOK_DISABLED.to_owned())));
        assert_eq!(scene.state(key).await, canceled);
    }
}

pub async fn deleted_webhooks_leave_the_roster_when_nothing_is_owed(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let key = DeliveryKey { event: scene.event(NOW).await, webhook };
    store.delete_webhook(webhook, NOW.into()).await.unwrap();
    let is_there = || store.roster().get(webhook).is_some();
    scene.tidy(NEVER, false, NOW).await;
    assert!(is_there(), "the event before it may not be dispatched yet");
    scene.record(vec![retried(key, 1, NOW, after_s(5))]).await;
    scene.checkpoint(key.event).await;
    scene.tidy(NEVER, false, NOW).await;
    assert!(is_there(), "a retry is owed");
    scene.record(vec![delivered(key, 2, after_s(5))]).await;
    scene.tidy(NEVER, false, NOW).await;
    assert!(!is_there());
    assert!(store.delivery(key).await.unwrap().is_some(), "what it got is still known");
}

pub async fn what_expired_is_deleted_and_what_is_owed_stays(store: Arc<dyn Store>) {
    const OLD: usize = 1_300;
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let mut keys = Vec::new();
    for _ in 0..OLD / 100 {
        let drafts = (0..100).map(|_| draft(Audience::Broadcast)).collect();
        for published in store.publish(drafts, &|_, _, _| body("{}"), NOW).await.unwrap() {
            keys.push(DeliveryKey { event: published.unwrap().seq, webhook });
        }
    }
    scene.record(keys.iter().map(|key| retried(*key, 1, NOW, after_s(5))).collect()).await;
    let (owed, late) = (keys[10], keys[20]);
    let mut ends: Vec<_> = keys.iter().map(|key| failed(*key, 2, after_s(5))).collect();
    ends.remove(10);
    ends[19] = delivered(late, 2, after_s(1_000));
    scene.record(ends).await;
    let fresh = DeliveryKey { event: scene.event(after_s(200)).await, webhook };
    scene.record(vec![delivered(fresh, 1, after_s(200))]).await;
    scene.tidy(after_s(100), true, after_s(1_000)).await;
    assert_eq!(store.delivery_count(webhook).await.unwrap(), OLD as u64 + 1, "nothing is dispatched yet");
    scene.checkpoint(fresh.event).await;
    scene.tidy(after_s(100), true, after_s(1_000)).await;
    let kept: Vec<Seq> = store.events_after(Seq(0), 9).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(kept, [owed.event, late.event, fresh.event]);
    assert_eq!(store.delivery_count(webhook).await.unwrap(), 3);
    assert!(store.delivery(keys[0]).await.unwrap().is_none());
    let history = store.deliveries(webhook, None, 9).await.unwrap();
    assert_eq!((history.items[0].delivery.key, history.next), (fresh, None));
    let newest = store.attempts(webhook, None, 1).await.unwrap();
    assert_eq!(newest.items[0].delivery.key, fresh);
}

pub async fn a_clock_set_back_strands_nothing(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let later = after_s(864_000);
    let key = async || DeliveryKey { event: scene.event(later).await, webhook };
    let (retry, held, resent) = (key().await, key().await, key().await);
    scene.tidy(NEVER, true, later).await;
    scene.record(vec![retried(retry, 1, later, later.plus(Duration::from_secs(5)))]).await;
    scene.record(vec![failed(resent, 1, later)]).await;
    scene.spill(held, later).await;
    store.retry_delivery(resent, later.into()).await.unwrap();
    let due = async |key| store.delivery(key).await.unwrap().unwrap().0.next_attempt_at.unwrap();
    for now in [NOW, after_s(1)] {
        scene.tidy(NEVER, true, now).await;
        assert_eq!((due(held).await, due(resent).await), (NOW, NOW), "they were due at once");
        let delay = due(retry).await.since(NOW);
        assert!((4_900..=5_000).contains(&delay.as_millis()), "{delay:?}");
    }
}

pub async fn places_are_not_given_twice(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let last = scene.event(after_s(500)).await;
    scene.checkpoint(last).await;
    scene.tidy(after_s(10_000), true, after_s(10_000)).await;
    assert!(store.event(last).await.unwrap().is_none());
    assert!(scene.event(NOW).await > last, "though the clock was set back and the event is gone");
}

pub async fn a_deleted_account_leaves_nothing(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let other = store.create_account(new_account("other"), NOW.into()).await.unwrap();
    let kept = new_webhook(other.no, "kept");
    let kept = store.create_webhook(kept, Default::default(), NOW.into()).await.unwrap().no;
    let drafts = vec![draft(Audience::Broadcast), draft(Audience::Webhook(webhook))];
    let published = store.publish(drafts, &|_, _, _| body("{}"), NOW).await.unwrap();
    let broadcast = published[0].unwrap().seq;
    let own = scene.event(NOW).await;
    let key = |event: Seq| DeliveryKey { event, webhook };
    let theirs = DeliveryKey { event: broadcast, webhook: kept };
    scene
        .record(vec![
            delivered(key(broadcast), 1, NOW),
            delivered(theirs, 1, NOW),
            retried(key(own), 1, NOW, after_s(9)),
        ])
        .await;
    store.delete_account("acme", NOW.into()).await.unwrap();
    scene.checkpoint(own).await;
    scene.tidy(NEVER, false, NOW).await;
    scene.record(vec![delivered(key(own), 2, after_s(9))]).await;
    for gone in [key(broadcast), key(own)] {
        assert!(store.delivery(gone).await.unwrap().is_none());
    }
    assert!(store.delivery(theirs).await.unwrap().is_some());
    let events: Vec<Seq> =
        store.events_after(Seq(0), 9).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(events, [broadcast]);
    assert!(store.roster().get(webhook).is_none() && store.roster().get(kept).is_some());
    assert!(store.written(own).await.unwrap().is_empty());
}

/// Whatever the contract says of the deliveries of deleted webhooks.
pub async fn what_an_account_leaves_behind_ends_with_it(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let (before, live) = (scene.webhook("a").await.no, scene.webhook("b").await.no);
    let event = scene.event(NOW).await;
    let key = |webhook| DeliveryKey { event, webhook };
    scene.record([before, live].map(|no| retried(key(no), 1, NOW, after_s(9))).to_vec()).await;
    // One that is not at the checkpoint yet keeps both in the roster.
    let last = scene.event(NOW).await;
    store.delete_webhook(before, NOW.into()).await.unwrap();
    scene.tidy(NEVER, false, NOW).await;
    assert_eq!(store.delivery(key(before)).await.unwrap().unwrap().0.state, DeliveryState::Pending);
    store.delete_account("acme", after_s(1).into()).await.unwrap();
    scene.tidy(NEVER, false, after_s(1)).await;
    for no in [before, live] {
        let (delivery, ..) = store.delivery(key(no)).await.unwrap().unwrap();
        assert_eq!(
            (delivery.state, delivery.reason.as_deref()),
            (DeliveryState::Canceled, Some(reasons::WEBHOOK_DELETED))
        );
    }
    scene.checkpoint(last).await;
}

pub async fn what_is_canceled_is_kept_as_long_as_what_fails(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let [off, called_off, resent] =
        [scene.webhook("a").await.no, scene.webhook("b").await.no, scene.webhook("c").await.no];
    let event = scene.event(NOW).await;
    let key = |webhook| DeliveryKey { event, webhook };
    scene.record([off, called_off, resent].map(|no| retried(key(no), 1, NOW, after_s(5))).to_vec()).await;
    scene.checkpoint(event).await;
    // All of it is old when it ends.
    let disabled = || WebhookPatch { state: Some(WebhookState::Disabled), ..WebhookPatch::default() };
    scene.patch(off, disabled(), after_s(200)).await;
    scene.patch(resent, disabled(), after_s(200)).await;
    scene.tidy(after_s(100), true, after_s(200)).await;
    let cancels = vec![(key(called_off), reasons::WEBHOOK_PAUSED)];
    store.record(RecordBatch { cancels, ..RecordBatch::default() }).await.unwrap();
    scene.tidy(after_s(100), true, after_s(201)).await;
    for no in [off, called_off, resent] {
        assert_eq!(
            scene.state(key(no)).await.unwrap().0,
            DeliveryState::Canceled,
            "its owner can still see it"
        );
    }
    let on = WebhookPatch { state: Some(WebhookState::Active), ..WebhookPatch::default() };
    scene.patch(resent, on, after_s(202)).await;
    let window = Window { since: NOW, until: after_s(1), after: Seq(0) };
    assert_eq!(store.recover(resent, window, false, 9, after_s(203).into()).await.unwrap().count, 1);
    scene.record(vec![failed(key(resent), 2, after_s(204))]).await;
    scene.tidy(after_s(203), true, after_s(400)).await;
    assert_eq!(scene.state(key(off)).await, None);
    assert_eq!(scene.state(key(called_off)).await, None);
    assert_eq!(scene.state(key(resent)).await.unwrap().0, DeliveryState::Failed);
    scene.tidy(after_s(300), true, after_s(400)).await;
    assert!(store.event(event).await.unwrap().is_none());
}

pub async fn what_was_canceled_during_an_attempt_does_not_come_back(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let [fails, succeeds] =
        [scene.event(NOW).await, scene.event(NOW).await].map(|event| DeliveryKey { event, webhook });
    scene.record([fails, succeeds].map(|key| retried(key, 1, NOW, after_s(5))).to_vec()).await;
    scene.checkpoint(succeeds.event).await;
    // Second attempts of both are under way.
    store.delete_webhook(webhook, NOW.into()).await.unwrap();
    scene.tidy(NEVER, true, after_s(6)).await;
    assert!(store.roster().get(webhook).is_none(), "nobody would end it again");
    scene.record(vec![retried(fails, 2, after_s(6), after_s(60)), delivered(succeeds, 2, after_s(6))]).await;
    let canceled = (DeliveryState::Canceled, Some(reasons::WEBHOOK_DELETED.to_owned()));
    assert_eq!(scene.state(fails).await, Some(canceled));
    assert_eq!(store.delivery(fails).await.unwrap().unwrap().0.attempts, 2);
    assert_eq!(scene.state(succeeds).await.unwrap().0, DeliveryState::Delivered);
}

pub async fn an_attempt_that_ends_after_its_delivery_expired_leaves_nothing(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let [webhook, other, kept] =
        [scene.webhook("a").await.no, scene.webhook("b").await.no, scene.webhook("c").await.no];
    let off = || WebhookPatch { state: Some(WebhookState::Disabled), ..WebhookPatch::default() };
    for keeps_event in [false, true] {
        let key = DeliveryKey { event: scene.event(NOW).await, webhook };
        scene.record(vec![retried(key, 1, NOW, after_s(5))]).await;
        if keeps_event {
            scene.record(vec![retried(DeliveryKey { webhook: kept, ..key }, 1, NOW, after_s(9_000))]).await;
        }
        scene.checkpoint(key.event).await;
        // A second attempt is under way when its webhook is switched off and all of it grows too old.
        scene.patch(webhook, off(), after_s(6)).await;
        scene.tidy(NEVER, true, after_s(6)).await;
        scene.tidy(after_s(100), true, after_s(200)).await;
        assert_eq!(scene.state(key).await, None);
        assert_eq!(store.event(key.event).await.unwrap().is_some(), keeps_event);
        let first = DeliveryKey { webhook: other, ..key };
        scene.record(vec![delivered(key, 2, after_s(200)), delivered(first, 1, after_s(200))]).await;
        let written = store.written(key.event).await.unwrap();
        let expected = if keeps_event { vec![other, kept] } else { vec![] };
        assert_eq!(written, expected, "a first attempt of what is kept counts, and nothing else");
        assert_eq!(store.delivery_count(webhook).await.unwrap(), 0);
        assert!(store.attempts(webhook, None, 9).await.unwrap().items.is_empty());
        let on = WebhookPatch { state: Some(WebhookState::Active), ..WebhookPatch::default() };
        scene.patch(webhook, on, after_s(6)).await;
    }
}

pub async fn forgotten_keys_and_tokens_can_come_again(store: Arc<dyn Store>) {
    let keyed = || {
        let idempotency = IdempotencyKey {
            key: "k".to_owned(),
            fingerprint: [0; 32],
            remembered_for: Duration::from_secs(60),
        };
        vec![EventDraft { idempotency: Some(idempotency), ..draft(Audience::Broadcast) }]
    };
    let scene = begin(store.clone()).await;
    store.publish(keyed(), &|_, _, _| body("{}"), NOW).await.unwrap();
    store.remember_once([1; 32], after_s(60), NOW).await.unwrap();
    scene.tidy(NEVER, false, after_s(59)).await;
    assert!(!store.remember_once([1; 32], after_s(60), after_s(59)).await.unwrap());
    let again = store.publish(keyed(), &|_, _, _| body("{}"), after_s(59)).await.unwrap();
    assert!(again[0].unwrap().is_duplicate);
    scene.tidy(NEVER, false, after_s(60)).await;
    assert!(store.remember_once([1; 32], after_s(90), after_s(60)).await.unwrap());
    let again = store.publish(keyed(), &|_, _, _| body("{}"), after_s(60)).await.unwrap();
    assert!(!again[0].unwrap().is_duplicate);
}
