//! What products and customers do all the time: events one by one and in batches, for one account and for all, named by
//! their publishers; and webhooks that come and go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::json;

use super::diary::Diary;
use super::ledger::Ledger;
use super::publishers::Publishers;
use super::publishing::{Draft, Numbers, Product, Told};
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
    /// One that was not deleted yet: its id and URL.
    pub guest: Arc<Mutex<Option<(String, String)>>>,
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

    /// One event by its number.
    pub fn event(&self, number: u64) -> Draft {
        let is_large = (number / BATCH).is_multiple_of(LARGE_EVERY);
        let account = (!is_broadcast(number)).then(|| self.product.account.clone());
        let padding = if is_large { LARGE_BYTES } else { 10 };
        Draft { number, account, padding, ..Draft::default() }
    }

    /// Publishes one event, named in the body or by the header, and writes down what it is told.
    pub async fn publish(&self, number: u64) -> Told {
        let draft = Draft { is_named_by_header: number.is_multiple_of(2), ..self.event(number) };
        let told = self.product.client.publish(&draft).await;
        self.ledger.note(number, &told);
        told
    }

    /// Publishes the next event; is anybody there?
    async fn publish_next(self) -> bool {
        self.publish(self.numbers.fetch_add(1, Ordering::Relaxed)).await != Told::Nothing
    }

    async fn publish_batch(self) -> bool {
        let first = self.numbers.fetch_add(BATCH, Ordering::Relaxed);
        let drafts: Vec<Draft> = (first..first + BATCH).map(|number| self.event(number)).collect();
        let told = self.product.client.publish_batch(&drafts).await;
        drafts.iter().zip(&told).for_each(|(draft, told)| self.ledger.note(draft.number, told));
        told.iter().all(|told| *told != Told::Nothing)
    }

    /// Makes a webhook and deletes it again, or the one that could not be deleted before: they do not become more and
    /// more. Answers whether somebody was there.
    async fn come_and_go(self) -> bool {
        let customer = self.product.client.with_key(&self.key);
        let left = self.guest().take();
        let guest = match left {
            Some(guest) => guest,
            None => {
                let number = self.guests.fetch_add(1, Ordering::Relaxed);
                let url = format!("{}/{number}", self.guests_at);
                let body = json!({"url": url}).to_string();
                let Some(made) = customer.call(Method::POST, "/v1/webhooks", body).await else {
                    return false;
                };
                let Some(id) = made.body["id"].as_str().filter(|_| made.is_success()) else { return true };
                let guest = (id.to_owned(), url);
                *self.guest() = Some(guest.clone());
                tokio::time::sleep(STAY).await;
                guest
            }
        };
        let path = format!("/v1/webhooks/{}", guest.0);
        let answer = customer.call(Method::DELETE, &path, String::new()).await;
        // Not found: it was deleted, and the answer was lost.
        let is_gone = answer.as_ref().is_some_and(|answer| answer.is_success() || answer.status == 404);
        *self.guest() = (!is_gone).then(|| guest.clone());
        if is_gone {
            let path = guest.1.parse::<http::Uri>().map(|url| url.path().to_owned()).unwrap_or_default();
            self.diary.delete(&path);
        }
        answer.is_some()
    }

    fn guest(&self) -> MutexGuard<'_, Option<(String, String)>> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Traffic until it is stopped, or nobody answers: so many publish one by one, one in batches, and one customer's
    /// webhooks come and go.
    pub fn traffic(&self, publishers: usize) -> Publishers {
        let mut all = Publishers::default();
        for _ in 0..publishers {
            let desk = self.clone();
            all.add(move || desk.clone().publish_next());
        }
        let (batches, guests) = (self.clone(), self.clone());
        all.add(move || batches.clone().publish_batch());
        all.add(move || guests.clone().come_and_go());
        all
    }
}
