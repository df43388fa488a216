//! Lists of deliveries with damaged events among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::delivery::reasons;
use posthaste_core::{Audience, Clock, DeliveryKey, EventBody, Secret, Seq, Subscription, UnixMs};
use posthaste_store::{
    Embedded, EventDraft, NewAccount, NewWebhook, Options, RecordBatch, Spill, Store, WebhookLimits,
};
use rusqlite::Connection;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const SOUND_BEFORE: usize = 5;
const DAMAGED: usize = 230;
const EVENTS: usize = SOUND_BEFORE + DAMAGED + 3;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

#[tokio::test]
async fn damaged_events_of_deliveries_without_an_attempt_make_no_list_fail() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed)).unwrap();
    let account =
        store.create_account(NewAccount { id: "acme".into(), name: None }, NOW.into()).await.unwrap().no;
    let new = |id: &str| NewWebhook {
        id: id.to_owned(),
        account,
        key: None,
        url: format!("https://{id}.example/"),
        canonical_url: format!("https://{id}.example/"),
        subscription: Subscription::All,
        description: None,
        extension: BTreeMap::new(),
        secret: Secret::from("s".to_owned()),
    };
    let limits = WebhookLimits::default();
    let waiting = store.create_webhook(new("waiting"), limits, NOW.into()).await.unwrap().no;
    let canceled = store.create_webhook(new("canceled"), limits, NOW.into()).await.unwrap().no;
    let draft = || EventDraft {
        audience: Audience::Account(account),
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: None,
        test_by: None,
    };
    let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 0..2, account_at: None };
    let drafts = (0..EVENTS).map(|_| draft()).collect();
    let published = store.publish(drafts, &|_, _, _| body(), NOW).await.unwrap();
    let mut events: Vec<Seq> = published.into_iter().map(|one| one.unwrap().seq).collect();
    events.reverse();
    let keys = |webhook| events.iter().map(move |event| DeliveryKey { event: *event, webhook });
    let spills = keys(waiting).map(|key| Spill { key, due_at: NOW, chain: None }).collect();
    let cancels = keys(canceled).map(|key| (key, reasons::EVENT_DAMAGED)).collect();
    store.record(RecordBatch { spills, cancels, ..RecordBatch::default() }).await.unwrap();
    let damage = format!(
        "UPDATE events SET body = x'00' WHERE seq < {} AND seq >= {}",
        events[SOUND_BEFORE - 1].0,
        events[SOUND_BEFORE + DAMAGED - 1].0
    );
    Connection::open(dir.path().join("posthaste.db")).unwrap().execute_batch(&damage).unwrap();
    let sound = [&events[..SOUND_BEFORE], &events[SOUND_BEFORE + DAMAGED..]].concat();
    for webhook in [waiting, canceled] {
        let (mut from, mut seen) = (None, Vec::new());
        for _ in 0..9 {
            let slice = store.deliveries(webhook, from, 4).await.unwrap();
            seen.extend(slice.items.iter().map(|row| row.event.seq));
            from = slice.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!((seen, from), (sound.clone(), None));
        assert_eq!(store.delivery_count(webhook).await.unwrap(), EVENTS as u64);
    }
}
