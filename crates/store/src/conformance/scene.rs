//! A store with an account in it, and short words for what stories do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthaste_core::{
    Account, AccountNo, Attempt, Audience, DeliveryKey, DeliveryState, EventBody, Fault, FaultKind, Outcome,
    Response, Secret, Seq, Subscription, UnixMs, Webhook, WebhookNo,
};

use crate::change::{
    EventDraft, NewAccount, NewWebhook, RecordBatch, Recorded, Spill, WebhookLimits, WebhookPatch,
};
use crate::store::Store;

/// When stories begin.
pub const NOW: UnixMs = UnixMs(1_800_000_000_000);

pub struct Scene {
    pub store: Arc<dyn Store>,
    pub account: Account,
}

pub async fn begin(store: Arc<dyn Store>) -> Scene {
    let account = store.create_account(new_account("acme"), NOW.into()).await.unwrap();
    Scene { store, account }
}

pub fn after_s(seconds: u64) -> UnixMs {
    NOW.plus(Duration::from_secs(seconds))
}

pub fn new_account(id: &str) -> NewAccount {
    NewAccount { id: id.to_owned(), name: None }
}

pub fn new_webhook(account: AccountNo, id: &str) -> NewWebhook {
    NewWebhook {
        id: id.to_owned(),
        account,
        key: None,
        url: format!("https://{id}.example/Hook"),
        canonical_url: format!("https://{id}.example/hook"),
        subscription: Subscription::All,
        description: None,
        extension: BTreeMap::new(),
        secret: Secret::from(format!("secret of {id}")),
    }
}

pub fn draft(audience: Audience) -> EventDraft {
    EventDraft {
        audience,
        event_type: "order.paid".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: None,
        test_by: None,
    }
}

pub fn body(text: &str) -> EventBody {
    EventBody {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        data: 0..u32::try_from(text.len()).unwrap(),
        account_at: None,
    }
}

pub fn answered(number: u32, status: u16, at: UnixMs) -> Attempt {
    let response = Response {
        status,
        headers: vec![("Server".to_owned(), b"x\xff".to_vec())],
        body: b"thanks\0".to_vec(),
        is_cut: true,
    };
    attempt(number, at, Outcome::Answered(response))
}

pub fn broken(number: u32, at: UnixMs) -> Attempt {
    let fault = Fault { kind: FaultKind::ConnectFailed, detail: "connection refused".to_owned() };
    attempt(number, at, Outcome::Failed(fault))
}

fn attempt(number: u32, at: UnixMs, outcome: Outcome) -> Attempt {
    let signatures = vec!["v1,abc=".to_owned(), String::new()];
    Attempt { number, started_at: at, duration: Duration::from_micros(12_345), outcome, signatures }
}

pub fn delivered(key: DeliveryKey, number: u32, at: UnixMs) -> Recorded {
    let attempt = answered(number, 204, at);
    Recorded { key, attempt, state: DeliveryState::Delivered, reason: None, next_attempt_at: None }
}

pub fn retried(key: DeliveryKey, number: u32, at: UnixMs, next: UnixMs) -> Recorded {
    let attempt = broken(number, at);
    Recorded { key, attempt, state: DeliveryState::Pending, reason: None, next_attempt_at: Some(next) }
}

pub fn failed(key: DeliveryKey, number: u32, at: UnixMs) -> Recorded {
    let reason = Some("attempts_exhausted");
    let attempt = answered(number, 500, at);
    Recorded { key, attempt, state: DeliveryState::Failed, reason, next_attempt_at: None }
}

impl Scene {
    pub async fn webhook(&self, id: &str) -> Webhook {
        let new = new_webhook(self.account.no, id);
        self.store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap()
    }

    pub async fn patch(&self, no: WebhookNo, patch: WebhookPatch, now: UnixMs) -> Webhook {
        self.store.update_webhook(no, patch, WebhookLimits::default(), now.into()).await.unwrap()
    }

    /// One event for the account.
    pub async fn event(&self, at: UnixMs) -> Seq {
        let drafts = vec![draft(Audience::Account(self.account.no))];
        let published = self.store.publish(drafts, &|_, _, _| body("{}"), at).await.unwrap();
        published[0].unwrap().seq
    }

    pub async fn record(&self, attempts: Vec<Recorded>) {
        self.store.record(RecordBatch { attempts, ..RecordBatch::default() }).await.unwrap();
    }

    pub async fn spill(&self, key: DeliveryKey, due_at: UnixMs) {
        let spills = vec![Spill { key, due_at, chain: None }];
        self.store.record(RecordBatch { spills, ..RecordBatch::default() }).await.unwrap();
    }

    pub async fn checkpoint(&self, seq: Seq) {
        self.store.record(RecordBatch { checkpoint: Some(seq), ..RecordBatch::default() }).await.unwrap();
    }

    /// How a delivery stands: its state and reason.
    pub async fn state(&self, key: DeliveryKey) -> Option<(DeliveryState, Option<String>)> {
        let (delivery, _, _) = self.store.delivery(key).await.unwrap()?;
        Some((delivery.state, delivery.reason))
    }

    /// All steps of housekeeping, with nothing expired before `expired_before`.
    pub async fn tidy(&self, expired_before: UnixMs, drop_queued: bool, now: UnixMs) {
        for _ in 0..1_000 {
            if !self.store.tidy(expired_before, drop_queued, now).await.unwrap() {
                return;
            }
        }
        panic!("housekeeping does not end");
    }
}
