//! Publishing.

use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{Audience, EventBody, Seq, UnixMs, WebhookNo};

use super::scene::{NOW, after_s, begin, body, draft};
use crate::change::{EventDraft, IdempotencyKey, Published};
use crate::error::Refusal;
use crate::store::{Hint, Store};

fn keyed(audience: Audience, key: &str, content: u8) -> EventDraft {
    let idempotency = IdempotencyKey {
        key: key.to_owned(),
        fingerprint: [content; 32],
        remembered_for: Duration::from_secs(60),
    };
    EventDraft { idempotency: Some(idempotency), ..draft(audience) }
}

async fn publish(
    store: &Arc<dyn Store>,
    drafts: Vec<EventDraft>,
    now: UnixMs,
) -> Vec<Result<Published, Refusal>> {
    store.publish(drafts, &|_, _, _| body("{}"), now).await.unwrap()
}

pub async fn events_keep_their_order_and_bytes(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let audience = Audience::Account(scene.account.no);
    let mut drafts =
        vec![draft(audience), draft(Audience::Broadcast), draft(Audience::Webhook(WebhookNo(3)))];
    drafts[0].send_at = Some(after_s(9));
    let build = |index: usize, seq: Seq, at: UnixMs| EventBody {
        account_at: (index == 1).then_some(2),
        ..body(&format!("{{\"n\":{index},\"seq\":{},\"at\":{}, \"big\":1e400}}", seq.0, at.0))
    };
    let published = store.publish(drafts, &build, NOW).await.unwrap();
    let places: Vec<Seq> = published.iter().map(|one| one.unwrap().seq).collect();
    assert!(places.is_sorted() && places[0] >= Seq::first_of(NOW) && places[0] < places[1]);
    let events = store.events_after(Seq(0), 9).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), places);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.body, build(index, event.seq, NOW));
        assert_eq!((&*event.event_type, event.created_at), ("order.paid", NOW));
        assert_eq!(store.event(event.seq).await.unwrap().unwrap().audience, event.audience);
    }
    assert_eq!((events[0].send_at, events[2].send_at), (Some(after_s(9)), None));
    assert_eq!(events[2].audience, Audience::Webhook(WebhookNo(3)));
    assert_eq!(store.events_after(places[0], 1).await.unwrap()[0].seq, places[1]);
    assert!(store.event(Seq(1)).await.unwrap().is_none());
    let earlier = publish(&store, vec![draft(audience)], UnixMs(0)).await[0].unwrap().seq;
    assert!(earlier > places[2], "the clock was set back");
    assert!(publish(&store, vec![], NOW).await.is_empty());
}

pub async fn a_repeated_key_answers_the_first_event(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let audience = Audience::Account(scene.account.no);
    let drafts =
        vec![keyed(audience, "k", 1), keyed(audience, "k", 1), keyed(audience, "k", 2), draft(audience)];
    let answers = publish(&store, drafts, NOW).await;
    let first = answers[0].unwrap();
    assert!(!first.is_duplicate);
    assert_eq!(answers[1], Ok(Published { is_duplicate: true, ..first }));
    assert_eq!(answers[2], Err(Refusal::IdempotencyConflict));
    assert!(!answers[3].unwrap().is_duplicate, "one bad draft does not spoil the others");
    let later = publish(&store, vec![keyed(audience, "k", 1)], after_s(5)).await;
    assert_eq!(later[0], Ok(Published { is_duplicate: true, ..first }));
    assert_eq!(store.events_after(Seq(0), 9).await.unwrap().len(), 2);
}

pub async fn keys_are_independent_and_forgotten_in_time(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let account = scene.account.no;
    let drafts = vec![keyed(Audience::Account(account), "k", 1), keyed(Audience::Broadcast, "k", 2)];
    let answers = publish(&store, drafts, NOW).await;
    assert!(answers.iter().all(|answer| !answer.unwrap().is_duplicate));
    for (owner, at, expected) in [
        (Some(account), NOW, Some(answers[0])),
        (None, after_s(59), Some(answers[1])),
        (None, after_s(60), None),
    ] {
        let found = store.event_by_key(owner, "k", at).await.unwrap();
        assert_eq!(found.map(|event| event.seq), expected.map(|answer| answer.unwrap().seq));
    }
    assert!(store.event_by_key(None, "other", NOW).await.unwrap().is_none());
    let again = publish(&store, vec![keyed(Audience::Broadcast, "k", 3)], after_s(60)).await;
    assert!(!again[0].unwrap().is_duplicate, "a forgotten key is as good as new");
}

pub async fn hints_tell_of_events_without_a_gap(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let before = scene.event(NOW).await;
    let mut hints = store.hints();
    let mut places = vec![before];
    for _ in 0..3 {
        places.push(scene.event(NOW).await);
    }
    publish(&store, vec![keyed(Audience::Broadcast, "k", 1)], NOW).await;
    publish(&store, vec![keyed(Audience::Broadcast, "k", 1)], NOW).await;
    let webhook = scene.webhook("a").await;
    let mut last = before;
    let mut told = 0;
    while let Ok(hint) = hints.try_recv() {
        match hint {
            Hint::Events { after, events } => {
                assert_eq!(after, last);
                told += events.len();
                last = events.last().unwrap().seq;
            }
            Hint::Webhook(no) => assert_eq!(no, webhook.no),
        }
    }
    assert_eq!(told, 4, "a duplicate is no new event");
}

pub async fn a_token_is_new_once(store: Arc<dyn Store>) {
    let token = [7; 32];
    assert!(store.remember_once(token, after_s(60), NOW).await.unwrap());
    assert!(!store.remember_once(token, after_s(60), after_s(59)).await.unwrap());
    assert!(store.remember_once([8; 32], after_s(60), NOW).await.unwrap());
    assert!(store.remember_once(token, after_s(120), after_s(60)).await.unwrap());
    assert!(!store.remember_once(token, after_s(120), after_s(61)).await.unwrap());
}
