//! The admin API of a contract over a store in a folder of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use posthaste_api::admin::{self, AdminParts, AdminRouter, BodyLimits};
use posthaste_api::client_address::ClientAddress;
use posthaste_api::logins::Logins;
use posthaste_contract::Contract;
use posthaste_core::{
    Attempt, Clock, DeliveryKey, DeliveryState, Dice, Fault, FaultKind, Health, Outcome, Response, Seq,
    Subscription, UnixMs, Webhook, WebhookNo,
};
use posthaste_store::{Embedded, NewWebhook, Options, RecordBatch, Recorded, Store, WebhookLimits};
use serde_json::Value;
use tempfile::TempDir;

pub const TOKEN: &str = "an-admin-token-for-tests";
/// Who asks, unless a test says otherwise.
pub const CLIENT: ClientAddress = ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));

pub struct Rig {
    pub router: AdminRouter,
    pub store: Arc<Embedded>,
    pub contract: Arc<Contract>,
    pub clock: Arc<SetClock>,
    _folder: TempDir,
}

/// A clock that moves only when told.
pub struct SetClock(AtomicI64);

impl SetClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

struct RealDice;

impl Dice for RealDice {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).unwrap();
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The problem's code, after checking that it is a whole problem document.
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["request_id"].as_str(), self.headers["x-request-id"].to_str().ok());
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {self:?}");
        }
        assert!(problem["errors"].is_array());
        problem["code"].as_str().unwrap().to_owned()
    }

    /// Status and code in one.
    pub fn told(&self) -> String {
        format!("{} {}", self.status, self.code())
    }

    /// The rejected members.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }

    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

impl Rig {
    pub fn new(contract: &str) -> Self {
        Self::with_limits(contract, BodyLimits::default())
    }

    pub fn with_limits(contract: &str, limits: BodyLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(1_790_000_000_000)));
        let store = Embedded::open(folder.path(), None, Options::default(), clock.clone()).unwrap();
        let contract = Arc::new(Contract::builtin(contract).unwrap());
        let router = admin::router(AdminParts {
            contract: contract.clone(),
            store: store.clone(),
            clock: clock.clone(),
            dice: Arc::new(RealDice),
            token: TOKEN.to_owned().into(),
            limits,
            logins: Arc::new(Logins::new(20, &RealDice)),
        });
        Self { router, store, contract, clock, _folder: folder }
    }

    /// A rig with the account `acme`.
    pub async fn with_account(contract: &str) -> Self {
        let rig = Self::new(contract);
        rig.post("/accounts", r#"{"id":"acme"}"#).await.ok(201);
        rig
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_from(request, CLIENT).await
    }

    /// The same from another address.
    pub async fn send_from(&self, request: Request<Body>, client: ClientAddress) -> Answer {
        let response = self.router.answer(request, client).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    /// A request by the operator with a JSON body.
    pub async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(request(method, path).body(body.into()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call("POST", path, body).await
    }

    /// Publishes and answers the event's id.
    pub async fn publish(&self, body: &str) -> String {
        self.post("/events", body.to_owned()).await.ok(202)["id"].as_str().unwrap().to_owned()
    }

    /// The latest event's place: no test publishes at the same time as it asks.
    pub async fn last_event(&self) -> Seq {
        self.store.events_after(Seq(0), 10_000).await.unwrap().last().unwrap().seq
    }

    pub async fn webhook(&self, account: &str, id: &str, patterns: &[&str]) -> Webhook {
        let account = self.store.account(account).await.unwrap().unwrap();
        let new = NewWebhook {
            id: id.to_owned(),
            account: account.no,
            key: None,
            url: format!("https://{id}.example/in"),
            canonical_url: format!("https://{id}.example/in"),
            subscription: if patterns.is_empty() {
                Subscription::All
            } else {
                Subscription::Patterns(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
            },
            description: None,
            extension: Default::default(),
            secret: self.contract.new_secret(&RealDice),
        };
        self.store.create_webhook(new, WebhookLimits::default(), self.clock.now().into()).await.unwrap()
    }

    /// Has the store remember an attempt as the engine would.
    pub async fn attempted(&self, event: Seq, webhook: WebhookNo, number: u32, ended: Ended) {
        let (outcome, state, reason, next) = ended.parts(self.clock.now());
        let started_at = self.clock.now();
        let key = DeliveryKey { event, webhook };
        let signatures = vec!["a-remembered-signature".to_owned(); self.contract.signatures.len()];
        let attempt =
            Attempt { number, started_at, duration: Duration::from_millis(12), outcome, signatures };
        self.record(RecordBatch {
            attempts: vec![Recorded { key, attempt, state, reason, next_attempt_at: next }],
            health: vec![(webhook, Health { last_attempt_at: Some(started_at), ..Health::default() })],
            ..RecordBatch::default()
        })
        .await;
    }

    pub async fn record(&self, batch: RecordBatch) {
        self.store.record(batch).await.unwrap();
    }
}

/// How an attempt ended.
pub enum Ended {
    Delivered,
    WillBeTriedAgain,
    GivenUp,
    Answered(Response, DeliveryState),
}

type Parts = (Outcome, DeliveryState, Option<&'static str>, Option<UnixMs>);

impl Ended {
    fn parts(self, now: UnixMs) -> Parts {
        let fault = Fault { kind: FaultKind::Timeout, detail: "no answer within 10 s".to_owned() };
        let answered = Response { status: 200, body: b"thanks".to_vec(), ..Response::default() };
        match self {
            Self::Delivered => (Outcome::Answered(answered), DeliveryState::Delivered, None, None),
            Self::WillBeTriedAgain => {
                let next = now.plus(Duration::from_secs(60));
                (Outcome::Failed(fault), DeliveryState::Pending, None, Some(next))
            }
            Self::GivenUp => {
                (Outcome::Failed(fault), DeliveryState::Failed, Some("attempts_exhausted"), None)
            }
            Self::Answered(response, state) => (Outcome::Answered(response), state, None, None),
        }
    }
}

/// The beginning of a request by the operator.
pub fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("/admin/v1{path}"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
}

pub const NO_CONTENT: u16 = StatusCode::NO_CONTENT.as_u16();
