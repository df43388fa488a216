//! Deliveries that happened: events published to the store and attempts recorded as the engine would.

use std::time::Duration;

use posthaste_contract::PayloadFacts;
use posthaste_contract::PublicIds;
use posthaste_core::{
    Attempt, Audience, DeliveryKey, DeliveryState, Fault, FaultKind, Outcome, Response, UnixMs, Webhook,
};
use posthaste_store::{EventDraft, Hint, RecordBatch, Recorded, Spill, Store};

use super::{Holder, Rig};

impl Rig {
    /// The webhook with this public id.
    pub async fn webhook(&self, holder: &Holder, id: &str) -> Webhook {
        self.store.webhook(holder.key.account, None, id).await.unwrap().unwrap()
    }

    /// Publishes an event to the account and answers with its delivery to a webhook.
    pub async fn publish(&self, webhook: &Webhook, event_type: &str, data: &str) -> DeliveryKey {
        let ids = PublicIds::new(&self.contract, self.store.id_key());
        let draft = EventDraft {
            audience: Audience::Account(webhook.account),
            event_type: event_type.into(),
            send_at: None,
            idempotency: None,
            ordering_key: None,
            reading: None,
            test_by: None,
        };
        let build = |_: usize, seq, at: UnixMs| {
            self.contract.build_body(&PayloadFacts {
                event_id: &ids.accepted(seq, at, false),
                event_type,
                account_id: Some(&webhook.account_id),
                occurred_at: at,
                data,
            })
        };
        let published = self.store.publish(vec![draft], &build, self.clock.time()).await.unwrap();
        DeliveryKey { event: published[0].unwrap().seq, webhook: webhook.no }
    }

    /// Records that a delivery waits for its first attempt.
    pub async fn hold(&self, key: DeliveryKey) {
        let spills = vec![Spill { key, due_at: self.clock.time(), chain: None }];
        self.store.record(RecordBatch { spills, ..RecordBatch::default() }).await.unwrap();
    }

    /// Records an attempt; `status` is `None` if nothing answered.
    pub async fn attempt(&self, key: DeliveryKey, number: u32, status: Option<u16>, state: DeliveryState) {
        self.store.record(ended(key, number, status, state, self.clock.time())).await.unwrap();
    }

    /// The public id of a delivery.
    pub async fn delivery_id(&self, key: DeliveryKey) -> String {
        let event = self.store.event(key.event).await.unwrap().unwrap();
        PublicIds::new(&self.contract, self.store.id_key()).delivery(key, event.created_at)
    }
}

impl Rig {
    /// Ends every test event from now on with this status, as the engine would after sending it.
    pub fn answer_tests_with(&self, status: Option<u16>) -> tokio::task::JoinHandle<()> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let mut hints = store.hints();
        tokio::spawn(async move {
            while let Some(hint) = hints.recv().await {
                let Hint::Events { events, .. } = hint else { continue };
                for event in events {
                    let Audience::Webhook(webhook) = event.audience else { continue };
                    let key = DeliveryKey { event: event.seq, webhook };
                    let is_ok = status.is_some_and(|status| (200..300).contains(&status));
                    let state = if is_ok { DeliveryState::Delivered } else { DeliveryState::Failed };
                    store.record(ended(key, 1, status, state, clock.time())).await.unwrap();
                }
            }
        })
    }
}

fn ended(
    key: DeliveryKey,
    number: u32,
    status: Option<u16>,
    state: DeliveryState,
    at: UnixMs,
) -> RecordBatch {
    let outcome = match status {
        Some(status) => Outcome::Answered(Response { status, ..Response::default() }),
        None => Outcome::Failed(Fault {
            kind: FaultKind::ConnectFailed,
            detail: "The receiver refused the connection.".into(),
        }),
    };
    let duration = Duration::from_millis(143);
    let attempt = Attempt { number, started_at: at, duration, outcome, signatures: Vec::new() };
    let next_attempt_at = (state == DeliveryState::Pending).then_some(at);
    let attempts = vec![Recorded { key, attempt, state, reason: None, next_attempt_at }];
    RecordBatch { attempts, ..RecordBatch::default() }
}
