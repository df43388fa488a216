//! Opens what is left after a crash as the program does, and looks for everything that was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};
use posthaste::data_folder::DataFolder;
use posthaste::outside::SystemClock;
use posthaste_core::{Account, By, Clock as _, DeliveryState, Event, Secret, Seq, Webhook};
use posthaste_store::{Embedded, NewAccount, Store, verify};

use super::promise::{Thing, data_of};
use super::recording::Trace;
use crate::rig::opening::open;

/// More than any trace has of anything.
const ALL: usize = 100_000;

/// What is wrong with an image.
#[derive(Debug)]
pub enum Wrong {
    /// It does not open.
    Refused(String),
    /// It opens, and what was promised is missing.
    Lost(String),
    /// It opens, and holds what nobody put there, or contradicts itself.
    Damaged(String),
}

/// How thoroughly an image is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    /// Whether each event has a delivery for each webhook.
    pub has_deliveries: bool,
    /// Whether the store takes something in, closes in order and opens again.
    pub goes_on: bool,
    /// Whether the store's own check reads all of it.
    pub is_verified: bool,
}

/// Checks the image in a folder, which was made after the first `place` records. Answers how many promises it kept.
pub async fn check(trace: &Trace, place: usize, folder: &Path, depth: Depth) -> Result<u64, Wrong> {
    check_token(trace, place, folder)?;
    let store =
        open(folder, Arc::new(SystemClock)).await.map_err(|error| Wrong::Refused(error.to_string()))?;
    let found = Found::read(&*store, trace, depth).await;
    let kept = match found {
        Ok(found) => found.check(&*store, trace, place).await,
        Err(error) => Err(Wrong::Damaged(format!("{error:#}"))),
    };
    let kept = kept?;
    if depth.is_verified {
        let report = verify(folder, None).map_err(|error| Wrong::Damaged(error.to_string()))?;
        if !report.problems.is_empty() || !report.has_tried_seals {
            return Err(Wrong::Damaged(format!("verify found: {:?}", report.problems)));
        }
    }
    if depth.goes_on {
        go_on(store, folder)
            .await
            .map_err(|error| Wrong::Damaged(format!("it does not go on: {error:#}")))?;
    }
    Ok(kept)
}

/// Once a caller was told something, the token that they called with stays.
fn check_token(trace: &Trace, place: usize, folder: &Path) -> Result<(), Wrong> {
    let token = DataFolder::at(folder).token().map_err(|error| Wrong::Refused(error.to_string()))?;
    let is_known = trace.promises.first_at.is_some_and(|first| first < place);
    let is_same = token.is_some_and(|token| token.expose_text() == trace.token.trim());
    if is_known && !is_same {
        return Err(Wrong::Lost("the admin token".to_owned()));
    }
    Ok(())
}

/// A recovered store is one like any other.
async fn go_on(store: Arc<Embedded>, folder: &Path) -> anyhow::Result<()> {
    let id = "after the crash";
    let new = NewAccount { id: id.to_owned(), name: None };
    store.create_account(new, By::from(SystemClock.now())).await?;
    store.close().await;
    drop(store);
    let store = open(folder, Arc::new(SystemClock)).await?;
    ensure!(store.account(id).await?.is_some(), "what it took in is lost");
    Ok(())
}

/// What is in a store.
struct Found {
    accounts: BTreeMap<String, Account>,
    webhooks: BTreeMap<(String, String), Webhook>,
    /// By number.
    events: BTreeMap<u64, Arc<Event>>,
    checkpoint: Seq,
    /// By account and webhook.
    deliveries: BTreeMap<(String, String), Rows>,
}

/// The deliveries of a webhook that have rows, with whether the receiver took them.
type Rows = BTreeMap<Seq, bool>;

impl Found {
    async fn read(store: &dyn Store, trace: &Trace, depth: Depth) -> anyhow::Result<Self> {
        let accounts = store.accounts(None, ALL).await?.items;
        let accounts: BTreeMap<_, _> =
            accounts.into_iter().map(|account| (account.id.clone(), account)).collect();
        let mut webhooks = BTreeMap::new();
        for account in accounts.values() {
            for webhook in store.webhooks(account.no, None, None, ALL).await?.items {
                webhooks.insert((account.id.clone(), webhook.id.clone()), webhook);
            }
        }
        // The checkpoint first: what comes after it has rows or is still to come.
        let checkpoint = store.checkpoint().await?;
        let events = events(store, trace).await?;
        let mut deliveries = BTreeMap::new();
        if depth.has_deliveries {
            for (of, webhook) in &webhooks {
                deliveries.insert(of.clone(), rows(store, webhook).await?);
            }
        }
        Ok(Self { accounts, webhooks, events, checkpoint, deliveries })
    }

    /// Is everything there that was promised, and nothing that was promised to be gone?
    async fn check(&self, store: &dyn Store, trace: &Trace, place: usize) -> Result<u64, Wrong> {
        let mut kept = 0;
        for (thing, is_there) in trace.promises.things(place) {
            let found = self.has(store, thing).await.map_err(|error| Wrong::Damaged(format!("{error:#}")))?;
            match (is_there, found) {
                (true, false) => return Err(Wrong::Lost(format!("{thing:?}"))),
                (false, true) => return Err(Wrong::Lost(format!("the end of {thing:?}"))),
                _ => kept += 1,
            }
        }
        for number in trace.promises.events(place) {
            let event = self.events.get(&number).ok_or_else(|| Wrong::Lost(format!("event {number}")))?;
            self.check_owed(trace, number, event)?;
            kept += 1;
        }
        if !self.deliveries.is_empty() {
            kept += self.check_delivered(trace, place)?;
        }
        Ok(kept)
    }

    async fn has(&self, store: &dyn Store, thing: &Thing) -> anyhow::Result<bool> {
        let now = SystemClock.now();
        let secret = |text: &str| Secret::from(text.to_owned());
        Ok(match thing {
            Thing::Account { id } => self.accounts.contains_key(id),
            Thing::Webhook { account, id } => self.webhooks.contains_key(&(account.clone(), id.clone())),
            Thing::Key { account, text } => {
                let key = store.find_key(&secret(text)).await?.filter(|key| key.is_active(now));
                key.is_some_and(|key| key.account_id == *account && self.accounts.contains_key(account))
            }
            Thing::Token { text } => {
                store.find_token(&secret(text), now).await?.is_some_and(|token| token.is_active(now))
            }
        })
    }

    /// An event up to the checkpoint has a row for each webhook that was there all the time.
    fn check_owed(&self, trace: &Trace, number: u64, event: &Event) -> Result<(), Wrong> {
        if event.seq > self.checkpoint {
            return Ok(());
        }
        for (of, rows) in self.steady(trace) {
            if !rows.contains_key(&event.seq) {
                return Err(Wrong::Lost(format!("what is owed of event {number} to webhook {}", of.1)));
            }
        }
        Ok(())
    }

    fn steady(&self, trace: &Trace) -> impl Iterator<Item = (&(String, String), &Rows)> {
        let steady: BTreeSet<(String, String)> = trace
            .books
            .steady
            .iter()
            .filter_map(|thing| match thing {
                Thing::Webhook { account, id } => Some((account.clone(), id.clone())),
                _ => None,
            })
            .collect();
        self.deliveries.iter().filter(move |(of, _)| steady.contains(*of))
    }

    fn check_delivered(&self, trace: &Trace, place: usize) -> Result<u64, Wrong> {
        let mut kept = 0;
        for (account, webhook, number) in trace.promises.delivered(place) {
            let rows = self.deliveries.get(&(account.to_owned(), webhook.to_owned()));
            let seq = self.events.get(&number).map(|event| event.seq);
            if rows.zip(seq).and_then(|(rows, seq)| rows.get(&seq)) != Some(&true) {
                return Err(Wrong::Lost(format!("the delivery of event {number} to webhook {webhook}")));
            }
            kept += 1;
        }
        Ok(kept)
    }
}

/// All events; each must be as its publisher sent it, and there once.
async fn events(store: &dyn Store, trace: &Trace) -> anyhow::Result<BTreeMap<u64, Arc<Event>>> {
    let mut events = BTreeMap::new();
    for event in store.events_after(Seq(0), ALL).await? {
        let body = &event.body;
        let data = body
            .bytes
            .get(body.data.start as usize..body.data.end as usize)
            .context("a body without data")?;
        let number = number_of(data).ok_or_else(|| anyhow!("event {} is nobody's", event.seq.0))?;
        let Some(padding_bytes) = trace.books.padding_bytes.get(&number) else {
            bail!("event {number} is nobody's")
        };
        ensure!(
            data == data_of(number, *padding_bytes).as_bytes(),
            "event {number} is not as it was published"
        );
        ensure!(events.insert(number, event).is_none(), "event {number} is there twice");
    }
    Ok(events)
}

fn number_of(data: &[u8]) -> Option<u64> {
    let digits = data.strip_prefix(br#""number":"#)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

async fn rows(store: &dyn Store, webhook: &Webhook) -> anyhow::Result<Rows> {
    let all = store.deliveries(webhook.no, None, ALL).await?.items.into_iter().map(|row| row.delivery);
    Ok(all.map(|delivery| (delivery.key.event, delivery.state == DeliveryState::Delivered)).collect())
}
