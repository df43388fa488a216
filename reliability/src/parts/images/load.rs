//! Callers that write down what they were promised.

use std::str::FromStr as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::Method;
use serde_json::{Value, json};

use super::promise::{Books, Noted, Promise, Thing, data_of};
use crate::rig::client::Client;
use crate::rig::server::Server;

/// How often somebody asks who waits for what is not there yet.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// What is answered for what is not there yet.
const TOO_SOON: [u16; 2] = [404, 401];

/// The books of one trace, shared by all callers.
pub type Shared = Arc<Mutex<Books>>;

/// An answer of success.
pub struct Told {
    /// The id that the request was given.
    pub request: String,
    /// The body.
    pub body: Value,
}

/// Somebody who calls one after the other.
pub struct Caller {
    client: Client,
    /// The request before.
    before: Option<String>,
    books: Shared,
}

/// The books, whoever broke off.
pub fn open(books: &Shared) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Caller {
    /// A product that calls the server's admin API.
    ///
    /// # Errors
    /// If there is no admin token.
    pub fn new(server: &Server, books: &Shared) -> anyhow::Result<Self> {
        Ok(Self { client: server.client()?, before: None, books: books.clone() })
    }

    /// Calls the admin API; `None` if there was no answer.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn call(&mut self, method: &str, path: &str, body: String) -> anyhow::Result<Option<Told>> {
        let client = self.client.clone();
        self.call_as(&client, method, &format!("/admin/v1{path}"), body).await
    }

    async fn call_as(
        &mut self,
        client: &Client,
        method: &str,
        path: &str,
        body: String,
    ) -> anyhow::Result<Option<Told>> {
        let tries = if open(&self.books).is_patient { TRIES } else { 1 };
        let mut tried = 0;
        let answer = loop {
            let Some(answer) = client.call(Method::from_str(method)?, path, body.clone()).await else {
                return Ok(None);
            };
            tried += 1;
            if !TOO_SOON.contains(&answer.status) || tried == tries {
                break answer;
            }
            tokio::time::sleep(PAUSE).await;
        };
        ensure!(answer.is_success(), "{method} {path}: {answer:?}");
        let request = answer.request_id;
        let request = request.with_context(|| format!("{method} {path}: the answer names no request"))?;
        Ok(Some(Told { request, body: answer.body }))
    }

    /// Writes down what an answer promises.
    pub fn note(&mut self, told: &Told, promise: Promise) {
        let (request, after) = (told.request.clone(), self.before.clone());
        open(&self.books).noted.push(Noted { request, after, promise });
    }

    /// The next call comes after this one.
    fn turn(&mut self, told: Told) -> Value {
        self.before = Some(told.request);
        told.body
    }

    async fn must(&mut self, method: &str, path: &str, body: &Value) -> anyhow::Result<Told> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call(method, path, body).await?.with_context(|| format!("{method} {path}: no answer"))
    }

    /// Asks for something and notes no promise.
    ///
    /// # Errors
    /// If the server refuses or does not answer.
    pub async fn ask(&mut self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let told = self.must(method, path, body).await?;
        Ok(self.turn(told))
    }

    /// Makes an account.
    ///
    /// # Errors
    /// As for [`Caller::ask`]; for those below too.
    pub async fn account(&mut self, id: &str) -> anyhow::Result<Thing> {
        let told = self.must("POST", "/accounts", &json!({"id": id})).await?;
        let account = Thing::Account { id: id.to_owned() };
        self.note(&told, Promise::There(account.clone()));
        self.turn(told);
        Ok(account)
    }

    /// Makes a key; answers it with its id.
    pub async fn key(&mut self, account: &str) -> anyhow::Result<(Thing, String)> {
        let told = self.must("POST", &format!("/accounts/{account}/keys"), &json!({})).await?;
        let key = Thing::Key { account: account.to_owned(), text: text(&told.body, "key")? };
        self.note(&told, Promise::There(key.clone()));
        let body = self.turn(told);
        Ok((key, text(&body, "id")?))
    }

    /// Makes a named token; answers it with its id.
    pub async fn token(&mut self, name: &str) -> anyhow::Result<(Thing, String)> {
        let told = self.must("POST", "/tokens", &json!({"name": name, "scope": "read"})).await?;
        let token = Thing::Token { text: text(&told.body, "token")? };
        self.note(&told, Promise::There(token.clone()));
        let body = self.turn(told);
        Ok((token, text(&body, "id")?))
    }

    /// Registers a webhook as the customer with this key.
    pub async fn webhook(&mut self, key: &Thing, url: &str) -> anyhow::Result<Thing> {
        let Thing::Key { account, text: key } = key else { bail!("that is no key") };
        let (customer, body) = (self.client.with_key(key), json!({"url": url}).to_string());
        let told = self.call_as(&customer, "POST", "/v1/webhooks", body).await?.context("no answer")?;
        let webhook = Thing::Webhook { account: account.clone(), id: text(&told.body, "id")? };
        self.note(&told, Promise::There(webhook.clone()));
        self.turn(told);
        Ok(webhook)
    }

    /// Deletes a webhook as the customer with this key.
    pub async fn delete_webhook(&mut self, key: &Thing, webhook: &Thing) -> anyhow::Result<()> {
        let (Thing::Key { text: key, .. }, Thing::Webhook { id, .. }) = (key, webhook) else {
            bail!("that is no key or no webhook")
        };
        let (customer, path) = (self.client.with_key(key), format!("/v1/webhooks/{id}"));
        let told = self.call_as(&customer, "DELETE", &path, String::new()).await?.context("no answer")?;
        self.note(&told, Promise::Gone(webhook.clone()));
        self.turn(told);
        Ok(())
    }

    /// Takes things away with one call.
    pub async fn delete(&mut self, path: &str, things: &[&Thing]) -> anyhow::Result<()> {
        let told = self.must("DELETE", path, &Value::Null).await?;
        for thing in things {
            self.note(&told, Promise::Gone((*thing).clone()));
        }
        self.turn(told);
        Ok(())
    }

    /// Publishes events, several in one call; `false` if there was no answer.
    pub async fn publish(&mut self, numbers: &[u64], padding_bytes: usize) -> anyhow::Result<bool> {
        let account = {
            let mut books = open(&self.books);
            books.padding_bytes.extend(numbers.iter().map(|number| (*number, padding_bytes)));
            books.account.clone()
        };
        let events: Vec<String> =
            numbers.iter().map(|number| event(*number, &account, padding_bytes)).collect();
        let (path, body) = match events.as_slice() {
            [one] => ("/events", one.clone()),
            many => ("/events/batch", format!("[{}]", many.join(","))),
        };
        let Some(told) = self.call("POST", path, body).await? else { return Ok(false) };
        let shown: Vec<&Value> = match told.body["events"].as_array() {
            Some(many) => many.iter().collect(),
            None => vec![&told.body],
        };
        let ids: Vec<String> = shown.into_iter().map(|event| text(event, "id")).collect::<Result<_, _>>()?;
        open(&self.books).numbers.extend(ids.into_iter().zip(numbers.iter().copied()));
        self.note(&told, Promise::Events(numbers.to_vec()));
        self.turn(told);
        Ok(true)
    }

    /// Reads what was delivered to a webhook: what is shown stays so.
    pub async fn read_deliveries(&mut self, webhook: &Thing) -> anyhow::Result<usize> {
        let Thing::Webhook { account, id } = webhook else { bail!("that is no webhook") };
        let path = format!("/accounts/{account}/webhooks/{id}/deliveries?limit=100");
        let told = self.must("GET", &path, &Value::Null).await?;
        let rows = told.body["data"].as_array().cloned().unwrap_or_default();
        let delivered = rows.iter().filter(|row| row["status"] == "delivered");
        let events: Vec<u64> = {
            let books = open(&self.books);
            delivered.filter_map(|row| books.numbers.get(row["event_id"].as_str()?).copied()).collect()
        };
        let count = events.len();
        self.note(&told, Promise::Delivered { account: account.clone(), webhook: id.clone(), events });
        self.turn(told);
        Ok(count)
    }
}

fn event(number: u64, account: &str, padding_bytes: usize) -> String {
    let data = data_of(number, padding_bytes);
    format!(r#"{{"id":"number-{number}","type":"load.numbered","account":"{account}","data":{{{data}}}}}"#)
}

fn text(body: &Value, member: &str) -> anyhow::Result<String> {
    Ok(body[member].as_str().with_context(|| format!("{member} is missing in {body}"))?.to_owned())
}
