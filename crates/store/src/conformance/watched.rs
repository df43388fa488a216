//! Values that events tell of, each kept with the one before it.

use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{AccountNo, Audience, Reading, Seq, WebhookNo};

use super::scene::{NOW, begin, body, draft, new_account};
use crate::change::{EventDraft, IdempotencyKey};
use crate::store::Store;

fn tells(audience: Audience, value: &str, per: &str) -> EventDraft {
    let (value, per) = (value.to_owned(), per.to_owned());
    let reading = Reading { value, per, limit: "floor".to_owned(), falls_below: true };
    EventDraft { reading: Some(Box::new(reading)), ..draft(audience) }
}

fn keyed(mut draft: EventDraft, content: u8) -> EventDraft {
    let remembered_for = Duration::from_secs(60);
    draft.idempotency =
        Some(IdempotencyKey { key: "k".to_owned(), fingerprint: [content; 32], remembered_for });
    draft
}

/// Publishes in one batch and answers, for each event accepted, what belongs to whom, the value and the one before.
async fn publish(store: &Arc<dyn Store>, drafts: Vec<EventDraft>) -> Vec<String> {
    let last = store.events_after(Seq(0), 1_000).await.unwrap().last().map_or(Seq(0), |event| event.seq);
    store.publish(drafts, &|_, _, _| body("{}"), NOW).await.unwrap();
    let events = store.events_after(last, 1_000).await.unwrap();
    let mut told = Vec::new();
    for event in &events {
        assert_eq!(store.event(event.seq).await.unwrap().unwrap().watched, event.watched);
        told.push(event.watched.as_deref().map_or("nothing".to_owned(), |watched| {
            let Reading { value, per, .. } = &watched.reading;
            format!("{per} {value} after {}", watched.before.as_deref().unwrap_or("-"))
        }));
    }
    told
}

pub async fn each_value_is_kept_with_the_one_before(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let ours = Audience::Account(scene.account.no);
    let batch = vec![
        tells(ours, "1", "USD"),
        tells(ours, "0.5", "USD"),
        tells(ours, "0.30000000000000004", "EUR"),
        draft(ours),
        tells(ours, "1e-1", "USD"),
    ];
    assert_eq!(
        publish(&store, batch).await,
        [
            "USD 1 after -",
            "USD 0.5 after 1",
            "EUR 0.30000000000000004 after -",
            "nothing",
            "USD 1e-1 after 0.5"
        ]
    );
    assert_eq!(publish(&store, vec![tells(ours, "7", "USD")]).await, ["USD 7 after 1e-1"], "over calls too");
    let later = vec![tells(ours, "0.3", "EUR"), tells(ours, "5", ""), tells(ours, "6", "")];
    assert_eq!(
        publish(&store, later).await,
        ["EUR 0.3 after 0.30000000000000004", " 5 after -", " 6 after 5"]
    );
}

pub async fn accounts_types_and_broadcasts_have_values_of_their_own(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let ours = Audience::Account(scene.account.no);
    let other = store.create_account(new_account("other"), NOW.into()).await.unwrap().no;
    let typed = |value| EventDraft { event_type: "stock.low".into(), ..tells(ours, value, "USD") };
    let batch = vec![
        tells(ours, "1", "USD"),
        tells(Audience::Account(other), "2", "USD"),
        tells(Audience::Broadcast, "3", "USD"),
        typed("4"),
        tells(ours, "5", "USD"),
        tells(Audience::Account(other), "6", "USD"),
        tells(Audience::Broadcast, "7", "USD"),
        typed("8"),
        draft(Audience::Webhook(WebhookNo(1))),
        tells(Audience::Account(AccountNo(77)), "9", "USD"),
    ];
    let expected = [
        "USD 1 after -",
        "USD 2 after -",
        "USD 3 after -",
        "USD 4 after -",
        "USD 5 after 1",
        "USD 6 after 2",
        "USD 7 after 3",
        "USD 8 after 4",
        "nothing",
        "USD 9 after -",
    ];
    assert_eq!(publish(&store, batch).await, expected);
}

pub async fn a_repeat_or_a_refused_draft_changes_no_value(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let ours = Audience::Account(scene.account.no);
    let batch = vec![
        keyed(tells(ours, "1", "USD"), 1),
        tells(ours, "2", "USD"),
        keyed(tells(ours, "1", "USD"), 1),
        keyed(tells(ours, "3", "USD"), 2),
        tells(ours, "4", "USD"),
    ];
    assert_eq!(publish(&store, batch).await, ["USD 1 after -", "USD 2 after 1", "USD 4 after 2"]);
    let repeated = vec![keyed(tells(ours, "1", "USD"), 1), tells(ours, "5", "USD")];
    assert_eq!(publish(&store, repeated).await, ["USD 5 after 4"]);
}
