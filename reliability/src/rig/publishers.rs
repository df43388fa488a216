//! Products that publish numbered events from several sides at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use posthaste::http_client;
use posthaste_core::Secret;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::ledger::Ledger;

/// Numbers for events, for a whole part: no two events have the same.
pub type Numbers = Arc<AtomicU64>;

/// Where and as whom they publish.
#[derive(Clone)]
pub struct Product {
    /// The server's admin API, `http://127.0.0.1:8080`.
    pub base: String,
    /// The admin token.
    pub token: Arc<Secret>,
    /// The account that the events are for.
    pub account: String,
    /// Bytes of padding in each event.
    pub padding: usize,
}

/// What a publish call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 2xx: it is stored.
    Accepted,
    /// 4xx: it is not.
    Refused(u16),
    /// 5xx or no answer: nobody knows.
    Unknown(Option<u16>),
}

/// What a publish call was answered, for those who look at it more closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// 2xx, with the event's id.
    Accepted(String),
    /// Another status, with the problem's code.
    Refused(u16, String),
    /// Nothing came back.
    Nothing,
}

impl Told {
    /// That there is no room for it, and that nothing is stored?
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused(503, code) if code == "storage_full")
    }
}

/// The longest wait for one answer.
const CALL_PATIENCE: Duration = Duration::from_secs(10);

impl Product {
    /// The same with so many bytes of padding in each event.
    pub fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Publishes one event with this number and an idempotency key made of it.
    pub async fn ask(&self, number: u64) -> Told {
        let answer = tokio::time::timeout(CALL_PATIENCE, self.post("/events", self.event(number))).await;
        match answer.ok().flatten() {
            Some((status, body)) if (200..300).contains(&status) => {
                Told::Accepted(body["id"].as_str().unwrap_or_default().to_owned())
            }
            Some((status, body)) => {
                Told::Refused(status, body["code"].as_str().unwrap_or_default().to_owned())
            }
            None => Told::Nothing,
        }
    }

    /// Publishes one event with this number and an idempotency key made of it, and writes the answer into the books.
    pub async fn publish(&self, number: u64, ledger: &Ledger) -> Answer {
        let answer = self.post("/events", self.event(number)).await;
        match answer {
            Some((status, body)) if (200..300).contains(&status) => {
                ledger.acknowledge(number, body["id"].as_str().unwrap_or_default());
                Answer::Accepted
            }
            Some((status, _)) if (400..500).contains(&status) => {
                ledger.refuse(number);
                Answer::Refused(status)
            }
            other => {
                ledger.leave_open(number);
                Answer::Unknown(other.map(|(status, _)| status))
            }
        }
    }

    fn event(&self, number: u64) -> String {
        let padding = "x".repeat(self.padding);
        let event = json!({
            "id": format!("number-{number}"),
            "type": "load.numbered",
            "account": self.account,
            "data": {"number": number, "padding": padding},
        });
        event.to_string()
    }

    /// A call of the admin API; `None` if nobody answered.
    pub async fn post(&self, path: &str, body: String) -> Option<(u16, Value)> {
        let request = http::Request::post(format!("{}/admin/v1{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token.expose_text()))
            .header("content-type", "application/json")
            .body(Bytes::from(body))
            .ok()?;
        let answer = http_client::send(request).await.ok()?;
        let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        Some((answer.status().as_u16(), body))
    }
}

/// Publishers at work. They end when told to, or at the first call that is not accepted if so wished.
pub struct Publishers {
    stop: Arc<AtomicBool>,
    /// Each says whether it ended before it was told to.
    tasks: JoinSet<bool>,
}

impl Publishers {
    /// So many begin to publish.
    pub fn start(count: usize, product: &Product, numbers: &Numbers, ledger: &Arc<Ledger>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (product, numbers, ledger, stop) =
                (product.clone(), numbers.clone(), ledger.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    if let Answer::Unknown(None) = product.publish(number, &ledger).await {
                        // Nobody is there: the server was ended.
                        return true;
                    }
                }
                false
            });
        }
        Self { stop, tasks }
    }

    /// Tells them to stop and waits for their last answers; answers how many had ended before.
    pub async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().filter(|has_ended| *has_ended).count()
    }
}
