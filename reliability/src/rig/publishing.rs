//! Numbered events, how they are published, and what their publishers are told.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::Method;
use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::ledger::Ledger;

/// Numbers for events, for a whole part: no two events have the same.
pub type Numbers = Arc<AtomicU64>;

/// An event to publish. The same number is the same event whenever it is published.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Its number, of which its idempotency key is made.
    pub number: u64,
    /// The account that it is for; `None` if for all.
    pub account: Option<String>,
    /// What keeps it in line.
    pub ordering_key: Option<String>,
    /// Bytes of padding.
    pub padding: usize,
    /// Is its key told in a header, and not in the body?
    pub is_named_by_header: bool,
}

impl Draft {
    fn name(&self) -> String {
        format!("number-{}", self.number)
    }

    fn body(&self) -> Value {
        let data = json!({"number": self.number, "padding": "x".repeat(self.padding)});
        let mut event = json!({"type": "load.numbered", "data": data});
        match &self.account {
            Some(account) => event["account"] = account.as_str().into(),
            None => event["broadcast"] = true.into(),
        }
        if let Some(key) = &self.ordering_key {
            event["ordering_key"] = key.as_str().into();
        }
        if !self.is_named_by_header {
            event["id"] = self.name().into();
        }
        event
    }
}

/// What a publisher is told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// 2xx, with the event's id: it is stored.
    Accepted(String),
    /// Another status, with the problem's code; or 2xx without an id.
    Refused(u16, String),
    /// Nothing came back.
    Nothing,
}

impl Told {
    /// What an answer tells of an event that it shows so.
    fn of(answer: &Answer, event: &Value) -> Self {
        match event["id"].as_str() {
            Some(id) if answer.is_success() => Self::Accepted(id.to_owned()),
            _ => Self::Refused(answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned()),
        }
    }

    /// That it is stored?
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// That there is no room for it, and that nothing is stored?
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused(503, code) if code == "storage_full")
    }

    /// That it breaks a rule, and is not stored?
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused(400..500, _))
    }
}

impl Client {
    /// Publishes one event.
    pub async fn publish(&self, draft: &Draft) -> Told {
        let name = draft.name();
        let header = draft.is_named_by_header.then_some(("idempotency-key", name.as_str()));
        let body = draft.body().to_string();
        match self.call_with(Method::POST, "/admin/v1/events", header, body).await {
            Some(answer) => Told::of(&answer, &answer.body),
            None => Told::Nothing,
        }
    }

    /// Publishes several in one call.
    pub async fn publish_batch(&self, drafts: &[Draft]) -> Vec<Told> {
        let body = Value::from_iter(drafts.iter().map(Draft::body)).to_string();
        let answer = self.call(Method::POST, "/admin/v1/events/batch", body).await;
        let told = |at: usize| match &answer {
            Some(answer) => Told::of(answer, &answer.body["events"][at]),
            None => Told::Nothing,
        };
        (0..drafts.len()).map(told).collect()
    }
}

/// A product that publishes for one account.
#[derive(Clone)]
pub struct Product {
    /// As whom it calls.
    pub client: Client,
    /// The account that its events are for.
    pub account: String,
    /// Bytes of padding in each event.
    pub padding: usize,
}

impl Product {
    /// The same with so many bytes of padding in each event.
    pub fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The event with this number.
    pub fn draft(&self, number: u64) -> Draft {
        Draft { number, account: Some(self.account.clone()), padding: self.padding, ..Draft::default() }
    }

    /// Publishes the event with this number.
    pub async fn ask(&self, number: u64) -> Told {
        self.client.publish(&self.draft(number)).await
    }

    /// The same, and writes into the books what it is told.
    pub async fn publish(&self, number: u64, ledger: &Ledger) -> Told {
        let told = self.ask(number).await;
        ledger.note(number, &told);
        told
    }
}

impl Ledger {
    /// A publisher was told this of an event.
    pub fn note(&self, number: u64, told: &Told) {
        match told {
            Told::Accepted(id) => self.acknowledge(number, id),
            told if told.is_invalid() => self.refuse(),
            _ => self.leave_open(number),
        }
    }
}
