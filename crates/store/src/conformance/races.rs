//! What holds when many ask at one time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthaste_core::{Audience, Secret, Seq, WebhookNo, WebhookState};
use tokio::task::JoinSet;

use super::scene::{NOW, begin, body, draft, new_account, new_webhook};
use crate::change::{EventDraft, IdempotencyKey, Rotation, WebhookLimits, WebhookPatch};
use crate::error::{Refusal, StoreError};
use crate::store::{Hint, Store};

/// Tries in each race.
const CREATORS: usize = 1_000;
const PUBLISHERS: usize = 1_000;
/// Rounds of one against one.
const ROUNDS: usize = 1_000;

pub async fn of_many_creators_as_many_succeed_as_the_limit_allows(store: Arc<dyn Store>) {
    let account = begin(store.clone()).await.account.no;
    let limits = WebhookLimits { max: Some(5), ..WebhookLimits::default() };
    let mut tasks = JoinSet::new();
    for creator in 0..CREATORS {
        let store = store.clone();
        let new = new_webhook(account, &format!("wh-{creator}"));
        tasks.spawn(async move { store.create_webhook(new, limits, NOW.into()).await.map(|_| ()) });
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
        tasks.spawn(async move { store.create_webhook(new, limits, NOW.into()).await.map(|_| ()) });
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

/// What one task saw of a race: a number before it asked and one after it was answered.
struct Seen {
    began: usize,
    answered: usize,
}

/// Asks, between two looks at a counter that only grows.
async fn seen<T>(counter: &AtomicUsize, ask: impl Future<Output = T>) -> (Seen, T) {
    let began = counter.fetch_add(1, Ordering::SeqCst);
    let answer = ask.await;
    (Seen { began, answered: counter.fetch_add(1, Ordering::SeqCst) }, answer)
}

pub async fn an_event_is_owed_to_what_was_not_deleted_before_it(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let counter = Arc::new(AtomicUsize::new(0));
    let (mut owed, mut not_owed) = (0, 0);
    for round in 0..ROUNDS {
        let no = scene.webhook(&format!("wh-{round}")).await.no;
        let publish = {
            let (store, counter, account) = (store.clone(), counter.clone(), scene.account.no);
            async move {
                let drafts = vec![draft(Audience::Account(account))];
                seen(&counter, store.publish(drafts, &|_, _, _| body("{}"), NOW)).await
            }
        };
        let delete = {
            let (store, counter) = (store.clone(), counter.clone());
            async move { seen(&counter, store.delete_webhook(no, NOW.into())).await }
        };
        // Each is first in half of the rounds; on several threads neither is for sure.
        let ((published, answer), (deleted, outcome)) = match round % 2 {
            0 => {
                let (first, second) = (tokio::spawn(publish), tokio::spawn(delete));
                (first.await.unwrap(), second.await.unwrap())
            }
            _ => {
                let (first, second) = (tokio::spawn(delete), tokio::spawn(publish));
                (second.await.unwrap(), first.await.unwrap())
            }
        };
        outcome.unwrap();
        let seq = answer.unwrap()[0].unwrap().seq;
        let webhook = store.webhook_by_no(no).await.unwrap().unwrap();
        let (_, last) = webhook.deleted.unwrap();
        let is_owed = seq > webhook.created_after && seq <= last;
        assert!(is_owed || published.answered > deleted.began, "published before the deletion began");
        assert!(!is_owed || deleted.answered > published.began, "published after the deletion was answered");
        let in_roster = store.roster().get(no).and_then(|known| known.deleted);
        assert!(in_roster.is_none_or(|(_, known)| known == last), "the roster shows another end");
        owed += usize::from(is_owed);
        not_owed += usize::from(!is_owed);
    }
    println!("counted | tenants | publishes raced against a deletion, in the store | {}", owed + not_owed);
}

pub async fn changes_and_publishes_side_by_side_are_all_kept(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let no = scene.webhook("wh").await.no;
    let mut tasks = JoinSet::new();
    for round in 0..ROUNDS {
        let (store, account) = (store.clone(), scene.account.no);
        tasks.spawn(async move {
            let drafts = vec![draft(Audience::Account(account))];
            store.publish(drafts, &|_, _, _| body("{}"), NOW).await.unwrap();
            let state = if round % 2 == 0 { WebhookState::Paused } else { WebhookState::Active };
            let rotate = Rotation {
                secret: Secret::from(format!("secret {round}")),
                overlap: Duration::from_secs(60),
                keep: 2,
            };
            let patch = match round % 3 {
                0 => WebhookPatch { state: Some(state), ..WebhookPatch::default() },
                1 => WebhookPatch { rotate: Some(rotate), ..WebhookPatch::default() },
                _ => WebhookPatch { description: Some(Some(round.to_string())), ..WebhookPatch::default() },
            };
            store.update_webhook(no, patch, WebhookLimits::default(), NOW.into()).await.unwrap();
        });
    }
    tasks.join_all().await;
    let stored = store.webhook_by_no(no).await.unwrap().unwrap();
    let known = store.roster().get(no).unwrap();
    assert_eq!(stored.created_after, known.created_after);
    assert!(stored.secrets == known.secrets, "the roster signs as the store remembers");
    assert_eq!((stored.state, &stored.description), (known.state, &known.description));
    // One change among these told of each kind is the last one; none undid another's.
    assert!(stored.description.is_some() && stored.secrets.previous.len() == 1);
    let events = store.events_after(Seq(0), 2 * ROUNDS).await.unwrap();
    assert_eq!(events.len(), ROUNDS);
}

pub async fn of_many_equal_tokens_one_is_new(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for _ in 0..CREATORS {
        let store = store.clone();
        tasks
            .spawn(async move { store.remember_once([7; 32], NOW.plus(Duration::from_secs(60)), NOW).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.into_iter().filter(|answer| *answer.as_ref().unwrap()).count(), 1);
}

pub async fn nothing_is_created_for_an_account_that_is_gone(store: Arc<dyn Store>) {
    for round in 0..ROUNDS / 20 {
        let account = store.create_account(new_account(&format!("a-{round}")), NOW.into()).await.unwrap();
        let mut tasks = JoinSet::new();
        for number in 0..20 {
            let (store, new) = (store.clone(), new_webhook(account.no, &format!("wh-{round}-{number}")));
            tasks.spawn(async move {
                store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.map(drop)
            });
        }
        store.delete_account(&account.id, NOW.into()).await.unwrap();
        for refused in tasks.join_all().await.into_iter().filter_map(Result::err) {
            assert!(matches!(refused, StoreError::Refused(Refusal::NotFound)));
        }
        assert!(store.webhooks(account.no, None, None, 100).await.unwrap().items.is_empty());
        let left = store.roster().of_account(account.no, WebhookNo(0), 100);
        assert!(left.iter().all(|webhook| webhook.deleted.is_some()));
    }
}
