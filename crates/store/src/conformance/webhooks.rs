//! Webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{KeyNo, Secret, Seq, Subscription, UnixMs, WebhookNo, WebhookState};

use super::scene::{NOW, after_s, begin, new_account, new_webhook};
use crate::change::{RecordBatch, Rotation, WebhookLimits, WebhookPatch};
use crate::error::{Refusal, StoreError};
use crate::store::Store;

pub async fn only_the_owner_sees_a_webhook(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let other = store.create_account(new_account("other"), NOW.into()).await.unwrap();
    let account = scene.account.no;
    let mut new = new_webhook(account, "wh_1");
    new.key = Some(KeyNo(7));
    let webhook = store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap();
    for (account, key, is_seen) in [
        (account, None, true),
        (account, Some(KeyNo(7)), true),
        (account, Some(KeyNo(8)), false),
        (other.no, None, false),
    ] {
        let found = store.webhook(account, key, "wh_1").await.unwrap();
        assert!(found.as_ref().is_none_or(|found| *found == webhook));
        assert_eq!(found.is_some(), is_seen);
        assert_eq!(store.webhooks(account, key, None, 9).await.unwrap().items.len(), usize::from(is_seen));
    }
    let taken =
        store.create_webhook(new_webhook(other.no, "wh_1"), WebhookLimits::default(), NOW.into()).await.err();
    assert!(matches!(taken, Some(StoreError::Refused(Refusal::Taken))));
    store.delete_webhook(webhook.no, NOW.into()).await.unwrap();
    assert!(store.webhook(account, None, "wh_1").await.unwrap().is_none());
    let told = store.webhook_by_no(webhook.no).await.unwrap().unwrap();
    assert_eq!((told.id, told.deleted), (webhook.id, Some((NOW, Seq(0)))));
    assert!(store.webhooks(account, None, None, 9).await.unwrap().items.is_empty());
    let again = store.delete_webhook(webhook.no, NOW.into()).await;
    assert!(matches!(again, Err(StoreError::Refused(Refusal::NotFound))));
    let id_kept =
        store.create_webhook(new_webhook(account, "wh_1"), WebhookLimits::default(), NOW.into()).await.err();
    assert!(matches!(id_kept, Some(StoreError::Refused(Refusal::Taken))));
    assert!(store.webhook_by_no(WebhookNo(99)).await.unwrap().is_none());
    store.delete_account(&scene.account.id, NOW.into()).await.unwrap();
    assert!(store.webhook_by_no(webhook.no).await.unwrap().is_none());
}

pub async fn limits_count_what_is_not_deleted(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    for per_key in [false, true] {
        let limits = WebhookLimits { max: Some(2), per_key, unique_url: false };
        let create = async |id: &str, key: i64| {
            let mut new = new_webhook(scene.account.no, &format!("{id}_{per_key}"));
            new.key = Some(KeyNo(key));
            store.create_webhook(new, limits, NOW.into()).await
        };
        let first = create("a", 1).await.unwrap();
        create("b", 1).await.unwrap();
        let third = create("c", 1).await.err();
        assert!(matches!(third, Some(StoreError::Refused(Refusal::WebhookLimit))), "per key: {per_key}");
        assert_eq!(create("d", 2).await.is_ok(), per_key);
        store.delete_webhook(first.no, NOW.into()).await.unwrap();
        create("e", 1).await.map(|_| ()).unwrap();
        for webhook in store.webhooks(scene.account.no, None, None, 9).await.unwrap().items {
            store.delete_webhook(webhook.no, NOW.into()).await.unwrap();
        }
    }
    let gone = store.create_webhook(
        new_webhook(posthaste_core::AccountNo(99), "x"),
        WebhookLimits::default(),
        NOW.into(),
    );
    assert!(matches!(gone.await.err(), Some(StoreError::Refused(Refusal::NotFound))));
}

pub async fn urls_differ_where_the_contract_says_so(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let limits = WebhookLimits { unique_url: true, ..WebhookLimits::default() };
    let (first, second) = (scene.webhook("a").await, scene.webhook("b").await);
    let same = || {
        let mut new = new_webhook(scene.account.no, "c");
        new.canonical_url = first.canonical_url.clone();
        new
    };
    let refused = store.create_webhook(same(), limits, NOW.into()).await.err();
    assert!(matches!(refused, Some(StoreError::Refused(Refusal::DuplicateUrl))));
    let url = Some((first.url.clone(), first.canonical_url.clone()));
    let own = WebhookPatch { url: url.clone(), ..WebhookPatch::default() };
    store.update_webhook(first.no, own, limits, NOW.into()).await.map(|_| ()).unwrap();
    let others = WebhookPatch { url, ..WebhookPatch::default() };
    let refused = store.update_webhook(second.no, others, limits, NOW.into()).await.err();
    assert!(matches!(refused, Some(StoreError::Refused(Refusal::DuplicateUrl))));
    store.delete_webhook(first.no, NOW.into()).await.unwrap();
    store.create_webhook(same(), limits, NOW.into()).await.map(|_| ()).unwrap();
}

pub async fn a_patch_changes_what_it_names(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let before = scene.webhook("a").await;
    let extension = |value: Option<&str>| BTreeMap::from([("env".to_owned(), value.map(str::to_owned))]);
    let patch = WebhookPatch {
        url: Some(("https://B.example".to_owned(), "https://b.example/".to_owned())),
        subscription: Some(Subscription::Patterns(vec!["order.*".to_owned()])),
        description: Some(Some("mine".to_owned())),
        extension: extension(Some("test")),
        state: Some(WebhookState::Paused),
        rotate: None,
    };
    let changed = scene.patch(before.no, patch, after_s(1)).await;
    assert_eq!(
        (changed.url.as_str(), changed.canonical_url.as_str()),
        ("https://B.example", "https://b.example/")
    );
    assert!(!changed.subscription.covers("a.b") && changed.state == WebhookState::Paused);
    assert_eq!(changed.extension, BTreeMap::from([("env".to_owned(), "test".to_owned())]));
    let cleared =
        WebhookPatch { description: Some(None), extension: extension(None), ..WebhookPatch::default() };
    let after = scene.patch(before.no, cleared, after_s(2)).await;
    assert!(after.description.is_none() && after.extension.is_empty());
    assert!(after.url == changed.url && after.state == WebhookState::Paused);
    assert_eq!((after.created_at, after.updated_at), (NOW, after_s(2)));
    let stored = store.webhook(scene.account.no, None, "a").await.unwrap();
    assert!(stored == Some(after));
    store.delete_webhook(before.no, NOW.into()).await.unwrap();
    let gone = store
        .update_webhook(before.no, WebhookPatch::default(), WebhookLimits::default(), NOW.into())
        .await
        .err();
    assert!(matches!(gone, Some(StoreError::Refused(Refusal::NotFound))));
}

pub async fn former_secrets_sign_as_long_as_they_are_kept(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let no = scene.webhook("a").await.no;
    let rotate = async |secret: &str, overlap_s: u64, keep: usize, now: UnixMs| {
        let rotation = Rotation {
            secret: Secret::from(secret.to_owned()),
            overlap: Duration::from_secs(overlap_s),
            keep,
        };
        scene.patch(no, WebhookPatch { rotate: Some(rotation), ..WebhookPatch::default() }, now).await;
        let stored = store.webhook(scene.account.no, None, "a").await.unwrap().unwrap();
        let signing: Vec<String> =
            stored.secrets.signing_at(now).map(|secret| secret.expose_text().to_owned()).collect();
        signing
    };
    assert_eq!(rotate("s1", 60, 3, NOW).await, ["s1", "secret of a"]);
    assert_eq!(rotate("s2", 60, 3, after_s(10)).await, ["s2", "s1", "secret of a"]);
    assert_eq!(rotate("s3", 60, 3, after_s(20)).await, ["s3", "s2", "s1"]);
    assert_eq!(rotate("s4", 0, 3, after_s(75)).await, ["s4", "s2"]);
    assert_eq!(rotate("s5", 60, 1, after_s(76)).await, ["s5"]);
}

pub async fn the_roster_shows_every_change(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let roster = store.roster();
    let webhook = scene.webhook("a").await;
    assert!(*roster.get(webhook.no).unwrap() == webhook);
    let paused = WebhookPatch { state: Some(WebhookState::Paused), ..WebhookPatch::default() };
    let webhook = scene.patch(webhook.no, paused, after_s(1)).await;
    assert!(*roster.get(webhook.no).unwrap() == webhook);
    assert_eq!(roster.of_account(scene.account.no, WebhookNo(0), 9).len(), 1);
    let before = scene.webhook("b").await;
    store.delete_webhook(before.no, after_s(1).into()).await.unwrap();
    assert!(!roster.get(before.no).unwrap().is_account_deleted);
    store.delete_account("acme", after_s(2).into()).await.unwrap();
    for (no, deleted_at) in [(webhook.no, after_s(2)), (before.no, after_s(1))] {
        let shown = roster.get(no).unwrap();
        assert_eq!((shown.deleted, shown.is_account_deleted), (Some((deleted_at, Seq(0))), true));
    }
}

pub async fn a_webhook_that_is_off_knows_the_event_before_that(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let no = scene.webhook("a").await.no;
    let set = async |state: WebhookState| {
        let patch = WebhookPatch { state: Some(state), ..WebhookPatch::default() };
        let off_after = scene.patch(no, patch, NOW).await.off_after;
        assert_eq!(store.roster().get(no).unwrap().off_after, off_after);
        off_after
    };
    let first = scene.event(NOW).await;
    assert_eq!(set(WebhookState::Disabled).await, Some(first));
    let second = scene.event(NOW).await;
    assert_eq!(set(WebhookState::Disabled).await, Some(first), "it was off already");
    let off = store.roster().get(no).unwrap();
    assert!(off.was_owed("a.b", first) && !off.was_owed("a.b", second) && !off.is_owed("a.b", first));
    assert_eq!(set(WebhookState::Paused).await, None);
    let disable = vec![(no, "failing")];
    scene.store.record(RecordBatch { disable, ..RecordBatch::default() }).await.unwrap();
    assert_eq!(store.roster().get(no).unwrap().off_after, None, "only an active one is switched off");
    assert_eq!(set(WebhookState::Active).await, None);
    let disable = vec![(no, "failing")];
    scene.store.record(RecordBatch { disable, ..RecordBatch::default() }).await.unwrap();
    let stored = store.webhook(scene.account.no, None, "a").await.unwrap().unwrap();
    assert_eq!(stored.off_after, Some(second));
}

pub async fn a_webhook_knows_the_event_before_it(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    assert_eq!(scene.webhook("a").await.created_after, Seq(0));
    let first = scene.event(NOW).await;
    let webhook = scene.webhook("b").await;
    assert_eq!(webhook.created_after, first);
    let second = scene.event(NOW).await;
    assert!(webhook.is_owed("a.b", second) && !webhook.is_owed("a.b", first));
    store.delete_webhook(webhook.no, NOW.into()).await.unwrap();
    let deleted = store.roster().get(webhook.no).unwrap();
    let third = scene.event(NOW).await;
    assert!(deleted.is_owed("a.b", second) && !deleted.is_owed("a.b", third));
}
