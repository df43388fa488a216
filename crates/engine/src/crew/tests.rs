//! A fault of ours in one attempt is that attempt's end, and nobody else's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_contract::Contract;
use posthaste_core::{
    AccountNo, Audience, DeliveryKey, Event, EventBody, Fault, Health, Outcome, Response, Secret, Seq,
    SigningSecrets, Subscription, UnixMs, Webhook, WebhookNo, WebhookState,
};
use posthaste_net::{Guard, GuardPolicy, Outgoing, Sent};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc::unbounded_channel;

use super::*;

/// Panics in every second attempt: before anything was awaited, or after.
#[derive(Default)]
struct Faulty(AtomicUsize);

#[async_trait]
impl Transport for Faulty {
    async fn send(&self, _: Outgoing) -> Sent {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        assert_ne!(number % 4, 1, "a fault of ours, at once");
        tokio::task::yield_now().await;
        assert_ne!(number % 4, 3, "a fault of ours, later");
        let response = Response { status: 200, ..Response::default() };
        Sent { outcome: Outcome::Answered(response), duration: Duration::ZERO }
    }
}

fn claim(number: u32) -> Claim {
    let webhook = Webhook {
        no: WebhookNo(1),
        id: "wh_1".to_owned(),
        account: AccountNo(1),
        account_id: "acme".to_owned(),
        key: None,
        url: "https://receiver.example/".to_owned(),
        canonical_url: "https://receiver.example/".to_owned(),
        subscription: Subscription::All,
        state: WebhookState::Active,
        description: None,
        extension: BTreeMap::new(),
        secrets: SigningSecrets { current: Secret::from("whsec_AAAA".to_owned()), previous: Vec::new() },
        created_after: Seq(0),
        health: Health::default(),
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
        off_after: None,
        deleted: None,
        is_account_deleted: false,
    };
    let event = Event {
        seq: Seq(1),
        audience: Audience::Account(AccountNo(1)),
        event_type: "a.b".into(),
        created_at: UnixMs(0),
        send_at: None,
        body: EventBody { bytes: Bytes::from_static(b"{}"), data: 0..2, account_at: None },
        watched: None,
        ordering_key: None,
    };
    let key = DeliveryKey { event: event.seq, webhook: webhook.no };
    let (event, webhook) = (Arc::new(event), Arc::new(webhook));
    Claim {
        key,
        event,
        webhook,
        number,
        at: UnixMs(0),
        ahead_ms: 0,
        is_written: true,
        slot: u64::from(number),
    }
}

#[tokio::test]
async fn every_attempt_ends_even_one_that_panics() {
    const ATTEMPTS: u32 = 20;
    const PATIENCE: Duration = Duration::from_secs(20);
    let mut registry = Registry::default();
    let observe = Observe::register(&mut registry);
    let contract = Arc::new(Contract::builtin("standard").unwrap());
    let guard = Arc::new(Guard::new(GuardPolicy::default()));
    let sending = Sending::new(contract, guard, Arc::new(Faulty::default()), [7; 16]);
    let (tell, mut told) = unbounded_channel();
    let mut crew = Crew::new(vec![(Handle::current(), sending)], &observe, &tell);
    let mut ends = Vec::new();
    for number in 1..=ATTEMPTS {
        crew.assign(claim(number));
        crew.start();
        let ended = tokio::time::timeout(PATIENCE, told.recv()).await.expect("it ends").unwrap();
        crew.ended(ended.member);
        assert_eq!((ended.claim.slot, ended.attempt.number), (u64::from(number), number));
        ends.push(match ended.attempt.outcome {
            Outcome::Answered(response) => response.status.to_string(),
            Outcome::Failed(Fault { kind, .. }) => kind.word().to_owned(),
        });
    }
    let expected = ["200", "internal_error"].repeat(ATTEMPTS as usize / 2);
    assert_eq!(ends, expected);
    assert_eq!(crew.0[0].in_flight, 0);
    let mut metrics = String::new();
    encode(&mut metrics, &registry).unwrap();
    for result in ["2xx", "internal_error"] {
        let line = format!("posthaste_attempts_total{{result=\"{result}\"}} {}", ATTEMPTS / 2);
        assert!(metrics.contains(&line), "{metrics}");
    }
    println!("counted | receivers | attempts that panic | {}", ATTEMPTS / 2);
}
