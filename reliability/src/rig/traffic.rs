//! What products and customers do all the time: events one by one and in batches, for one account and for all, named by
//! their publishers; and webhooks that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use posthaste::http_client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::diary::Diary;
use super::ledger::Ledger;
use super::publishers::{Answer, Numbers, Product};
use super::server::Server;

/// Events of one batch.
const BATCH: u64 = 5;
/// Every so many events are for all accounts.
const BROADCAST_EVERY: u64 = 5;
/// Every so many batches are large, so that the log has to be written back.
const LARGE_EVERY: u64 = 7;
/// The padding of each event of a large batch.
const LARGE_BYTES: usize = 16 * 1024;

/// How long a webhook stays that comes and goes.
const STAY: Duration = Duration::from_millis(30);

/// Where, as whom, and into which books.
#[derive(Clone)]
pub struct Desk {
    /// The product.
    pub product: Product,
    /// The API key of the product's customer.
    pub key: String,
    /// The books of what was published.
    pub ledger: Arc<Ledger>,
    /// Where receivers write down what they got.
    pub diary: Arc<Diary>,
    /// Numbers for events.
    pub numbers: Numbers,
    /// Numbers for webhooks that come and go.
    pub guests: Arc<AtomicU64>,
    /// Where those point to, with a number behind it.
    pub guests_at: String,
}

/// Is the event with this number for all accounts?
pub fn is_broadcast(number: u64) -> bool {
    number % BROADCAST_EVERY == BROADCAST_EVERY - 1
}

impl Desk {
    /// The same towards another process.
    pub fn towards(&self, server: &Server) -> anyhow::Result<Self> {
        Ok(Self { product: server.product(&self.product.account)?, ..self.clone() })
    }

    /// One event by its number; the same number is the same event whenever it is published.
    fn event(&self, number: u64) -> Value {
        let is_large = (number / BATCH).is_multiple_of(LARGE_EVERY);
        let padding = "x".repeat(if is_large { LARGE_BYTES } else { 10 });
        let mut event = json!({
            "id": format!("number-{number}"),
            "type": "load.numbered",
            "data": {"number": number, "padding": padding},
        });
        match is_broadcast(number) {
            true => event["broadcast"] = true.into(),
            false => event["account"] = self.product.account.clone().into(),
        }
        event
    }

    /// Publishes one event, named in the body or by the header, and writes the answer down.
    pub async fn publish(&self, number: u64) -> Answer {
        let mut event = self.event(number);
        let name = event["id"].as_str().unwrap_or_default().to_owned();
        let header = number.is_multiple_of(2).then_some(("idempotency-key", name.as_str()));
        if header.is_some() {
            event.as_object_mut().map(|event| event.remove("id"));
        }
        let token = self.product.token.expose_text().to_owned();
        let url = format!("{}/admin/v1/events", self.product.base);
        let answer = call(Method::POST, &url, &token, header, event.to_string()).await;
        self.note(number, answer.as_ref().map(|(status, body)| (*status, body)))
    }

    async fn publish_batch(&self, first: u64) -> Answer {
        let numbers = first..first + BATCH;
        let events: Vec<Value> = numbers.clone().map(|number| self.event(number)).collect();
        let token = self.product.token.expose_text().to_owned();
        let url = format!("{}/admin/v1/events/batch", self.product.base);
        let answer = call(Method::POST, &url, &token, None, Value::from(events).to_string()).await;
        let mut last = Answer::Unknown(None);
        for (at, number) in numbers.enumerate() {
            last = self.note(number, answer.as_ref().map(|(status, body)| (*status, &body["events"][at])));
        }
        last
    }

    fn note(&self, number: u64, answer: Option<(u16, &Value)>) -> Answer {
        match answer {
            Some((status, body)) if (200..300).contains(&status) && body["id"].is_string() => {
                self.ledger.acknowledge(number, body["id"].as_str().unwrap_or_default());
                Answer::Accepted
            }
            Some((status, _)) if (400..500).contains(&status) => {
                self.ledger.refuse(number);
                Answer::Refused(status)
            }
            other => {
                self.ledger.leave_open(number);
                Answer::Unknown(other.map(|(status, _)| status))
            }
        }
    }

    /// Makes a webhook and deletes it again; answers whether somebody was there.
    async fn come_and_go(&self) -> bool {
        let number = self.guests.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}/{number}", self.guests_at);
        let base = format!("{}/v1/webhooks", self.product.base);
        let made = call(Method::POST, &base, &self.key, None, json!({"url": url}).to_string()).await;
        let Some((201, webhook)) = made else { return made.is_some() };
        tokio::time::sleep(STAY).await;
        let one = format!("{base}/{}", webhook["id"].as_str().unwrap_or_default());
        match call(Method::DELETE, &one, &self.key, None, String::new()).await {
            Some((status, _)) if (200..300).contains(&status) => {
                self.diary.delete(
                    url.parse::<http::Uri>().map(|url| url.path().to_owned()).unwrap_or_default().as_str(),
                );
                true
            }
            other => other.is_some(),
        }
    }
}

/// Traffic that goes on until it is stopped, or nobody answers.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Traffic {
    /// So many publish one by one, one in batches, and one customer's webhooks come and go.
    pub fn start(desk: &Desk, publishers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..publishers {
            let (desk, stop) = (desk.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = desk.numbers.fetch_add(1, Ordering::Relaxed);
                    if desk.publish(number).await == Answer::Unknown(None) {
                        return;
                    }
                }
            });
        }
        let (batches, guests) = (desk.clone(), desk.clone());
        let (stop_batches, stop_guests) = (stop.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop_batches.load(Ordering::Relaxed) {
                let first = batches.numbers.fetch_add(BATCH, Ordering::Relaxed);
                if batches.publish_batch(first).await == Answer::Unknown(None) {
                    return;
                }
            }
        });
        tasks.spawn(
            async move { while !stop_guests.load(Ordering::Relaxed) && guests.come_and_go().await {} },
        );
        Self { stop, tasks }
    }

    /// Ends it and waits for the last answers.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// One call; `None` if nobody answered.
pub async fn call(
    method: Method,
    url: &str,
    token: &str,
    header: Option<(&str, &str)>,
    body: String,
) -> Option<(u16, Value)> {
    let mut request = http::Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let answer = http_client::send(request.body(Bytes::from(body)).ok()?).await.ok()?;
    let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
    Some((answer.status().as_u16(), body))
}
