//! What holds when many ask at one time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{Audience, Seq};
use tokio::task::JoinSet;

use super::scene::{NOW, begin, body, draft, new_webhook};
use crate::change::{EventDraft, IdempotencyKey, WebhookLimits};
use crate::error::{Refusal, StoreError};
use crate::store::{Hint, Store};

const CREATORS: usize = 25;
const PUBLISHERS: usize = 200;

pub async fn of_many_creators_as_many_succeed_as_the_limit_allows(store: Arc<dyn Store>) {
    let account = begin(store.clone()).await.account.no;
    let limits = WebhookLimits { max: Some(5), ..WebhookLimits::default() };
    let mut tasks = JoinSet::new();
    for creator in 0..CREATORS {
        let store = store.clone();
        let new = new_webhook(account, &format!("wh-{creator}"));
        tasks.spawn(async move { store.create_webhook(new, limits, NOW).await.map(|_| ()) });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, StoreError::Refused(Refusal::WebhookLimit)));
    }
    assert_eq!(store.roster().len(), 5);
}

pub async fn of_many_equal_urls_one_is_created(store: Arc<dyn Store>) {
    let account = begin(store.clone()).await.account.no;
    let limits = WebhookLimits { unique_url: true, ..WebhookLimits::default() };
    let mut tasks = JoinSet::new();
    for creator in 0..CREATORS {
        let store = store.clone();
        let mut new = new_webhook(account, &format!("wh-{creator}"));
        new.canonical_url = "https://same.example/".to_owned();
        tasks.spawn(async move { store.create_webhook(new, limits, NOW).await.map(|_| ()) });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
}

pub async fn of_many_equal_keys_one_event_is_made(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let store = store.clone();
        tasks.spawn(async move {
            let idempotency = IdempotencyKey {
                key: "same".to_owned(),
                fingerprint: [u8::from(publisher % 10 == 0); 32],
                remembered_for: Duration::from_secs(60),
            };
            let drafts = vec![EventDraft { idempotency: Some(idempotency), ..draft(Audience::Broadcast) }];
            store.publish(drafts, &|_, _, _| body("{}"), NOW).await.unwrap().remove(0)
        });
    }
    let answers = tasks.join_all().await;
    let places: BTreeSet<Seq> = answers.iter().flatten().map(|published| published.seq).collect();
    let made = answers.iter().flatten().filter(|published| !published.is_duplicate).count();
    assert_eq!((places.len(), made), (1, 1));
    assert!(answers.contains(&Err(Refusal::IdempotencyConflict)));
    assert_eq!(store.events_after(Seq(0), 9).await.unwrap().len(), 1);
}

pub async fn parallel_publishers_get_different_places_in_order_of_hints(store: Arc<dyn Store>) {
    let mut hints = store.hints();
    let mut tasks = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let store = store.clone();
        tasks.spawn(async move {
            let drafts = vec![draft(Audience::Broadcast), draft(Audience::Broadcast)];
            let published = store.publish(drafts, &|_, _, _| body("{}"), NOW).await.unwrap();
            published.into_iter().map(|one| one.unwrap().seq).collect::<Vec<_>>()
        });
    }
    let answers = tasks.join_all().await;
    assert!(answers.iter().all(|places| places[1].0 == places[0].0 + 1), "one publish stays together");
    let places: BTreeSet<Seq> = answers.into_iter().flatten().collect();
    assert_eq!(places.len(), 2 * PUBLISHERS);
    let mut told = vec![Seq(0)];
    while let Ok(hint) = hints.try_recv() {
        let Hint::Events { after, events } = hint else { continue };
        assert_eq!(Some(&after), told.last());
        told.extend(events.iter().map(|event| event.seq));
    }
    assert_eq!(told[1..].to_vec(), places.into_iter().collect::<Vec<_>>());
}
