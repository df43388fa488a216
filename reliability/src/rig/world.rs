//! A product with two accounts and receivers of several manners, and what must be so at the end, whatever happened to
//! the process in between.

mod closing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use posthaste_core::Secret;
use serde_json::json;

use super::client::Client;
use super::diary::Diary;
use super::ledger::Ledger;
use super::publishing::Product;
use super::receiver::{Manner, Receiver};
use super::server::{Plan, Server};
use super::signature::SigningSecret;
use super::stored::Stored;
use super::traffic::Desk;

pub use closing::Sum;

/// The account that events are for.
const ACCOUNT: &str = "acme";
/// The account that only gets what is for all.
const OTHER: &str = "other";
/// The receiver of customers' webhooks that come and go.
const GUESTS: &str = "guests";
/// The account without webhooks.
const NOBODY: &str = "nobody";
/// What one event without a webhook weighs.
const FILLING_BYTES: usize = 200 * 1024;
/// How long the slow receiver takes.
const SLOW: Duration = Duration::from_millis(40);
/// How long a customer's webhook takes that comes and goes: when it goes, something waits for it.
const GUESTS_TAKE: Duration = Duration::from_millis(500);
/// How many acknowledged events are published again after a restart, to see that they are known.
const REPEATED: usize = 4;

/// The world around the process.
pub struct World {
    /// How the process is started.
    pub plan: Plan,
    /// Who publishes, and the books.
    pub desk: Desk,
    /// Receivers that take everything; those at the end get only what is for all accounts.
    healthy: Vec<Receiver>,
    /// The others.
    further: Vec<Receiver>,
    stored: Stored,
    /// By receiver and number, in which life the delivery was first found recorded after a crash.
    recorded: BTreeMap<(String, u64), u32>,
    /// By life, how many copies had arrived without being recorded when it ended.
    unrecorded: BTreeMap<u32, u64>,
}

impl World {
    /// A world whose process was started once, set up and ended.
    ///
    /// # Errors
    /// If the process does not start, or refuses.
    pub async fn settled(plan: Plan) -> anyhow::Result<Self> {
        let mut world = Self::around(plan).await?;
        let mut server = Server::start(&world.plan).await?;
        world.settle(&server).await?;
        server.end().await?;
        Ok(world)
    }

    /// A world whose process was never started.
    ///
    /// # Errors
    /// If there are no ports.
    pub async fn around(plan: Plan) -> anyhow::Result<Self> {
        let (ledger, diary) = (Arc::new(Ledger::default()), Arc::new(Diary::default()));
        let healthy = vec![
            Receiver::start("prompt", Manner::Prompt, &diary).await?,
            Receiver::start("slow", Manner::Slow(SLOW), &diary).await?,
            Receiver::start("other", Manner::Prompt, &diary).await?,
        ];
        let guests = Receiver::start(GUESTS, Manner::Slow(GUESTS_TAKE), &diary).await?;
        let guests_at = guests.url.clone();
        let further = vec![Receiver::start("failing", Manner::Refusing(500), &diary).await?, guests];
        let desk = Desk {
            product: Product {
                client: Client::new("", Secret::new(Vec::new())),
                account: ACCOUNT.to_owned(),
                padding: 0,
            },
            key: String::new(),
            ledger,
            diary,
            numbers: Arc::default(),
            guests: Arc::new(AtomicU64::new(0)),
            guest: Arc::default(),
            guests_at,
        };
        Ok(Self {
            plan,
            desk,
            healthy,
            further,
            stored: Stored::default(),
            recorded: BTreeMap::new(),
            unrecorded: BTreeMap::new(),
        })
    }

    /// Makes the accounts and webhooks, as far as they are not there.
    ///
    /// # Errors
    /// If the process refuses or is not there.
    pub async fn settle(&mut self, server: &Server) -> anyhow::Result<()> {
        for account in [ACCOUNT, OTHER] {
            // It may be there from a life before.
            let _ = server.admin.post("/accounts", &json!({"id": account})).await;
            let key = server.admin.post(&format!("/accounts/{account}/keys"), &json!({})).await?;
            let key = key["key"].as_str().context("no key")?.to_owned();
            let known = server.admin.list(&format!("/accounts/{account}/webhooks"), 100).await?;
            let own =
                |mailbox: &&Receiver| (mailbox.name == OTHER) == (account == OTHER) && mailbox.name != GUESTS;
            for mailbox in self.healthy.iter().chain(&self.further).filter(own) {
                if !known.iter().any(|webhook| webhook["url"] == mailbox.url.as_str()) {
                    let webhook = server.webhook(&key, &mailbox.url).await?;
                    let secret = webhook["secret"].as_str().and_then(SigningSecret::read);
                    self.desk.diary.learn(mailbox.name, secret.context("a webhook without a secret")?);
                }
            }
            if account == ACCOUNT {
                self.desk.key = key;
            }
        }
        Ok(())
    }

    /// The process was killed: reads what is recorded, and what had arrived and is not.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn note_crash(&mut self) -> anyhow::Result<()> {
        for mailbox in &self.healthy {
            mailbox.drained().await?;
        }
        let life = self.desk.diary.life();
        let delivered = match self.plan.data().join("posthaste.db").exists() {
            true => self.stored.delivered(&self.plan.data())?,
            false => BTreeSet::new(),
        };
        let mut unrecorded = 0;
        for mailbox in &self.healthy {
            for number in self.desk.diary.at(mailbox.name).into_keys() {
                unrecorded += u64::from(!delivered.contains(&(mailbox.name.to_owned(), number)));
            }
        }
        self.unrecorded.insert(life, unrecorded);
        for delivery in delivered {
            self.recorded.entry(delivery).or_insert(life);
        }
        self.desk.diary.next_life();
        Ok(())
    }

    /// Fills the store's log with so many bytes, in events that are for nobody.
    ///
    /// # Errors
    /// If the process refuses or goes away.
    pub async fn fill(&self, server: &Server, bytes: usize) -> anyhow::Result<()> {
        let _ = server.admin.post("/accounts", &json!({"id": NOBODY})).await;
        let padding = "x".repeat(FILLING_BYTES);
        let event = json!({"type": "load.filling", "account": NOBODY, "data": {"padding": padding}});
        for _ in 0..bytes.div_ceil(FILLING_BYTES) {
            server.admin.post("/events", &event).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        }
        Ok(())
    }

    /// Publishes again what nobody knows the fate of, and some of what was acknowledged, the newest too: those a crash
    /// endangers most. Answers how often an event that was known got another id.
    ///
    /// # Errors
    /// If one is not accepted.
    pub async fn repeat(&self, server: &Server) -> anyhow::Result<u64> {
        let desk = self.desk.towards(server)?;
        for number in desk.ledger.left_open() {
            let told = desk.publish(number).await;
            ensure!(
                told.is_accepted(),
                "event {number}, not answered and repeated, is answered with {told:?}"
            );
        }
        let known = desk.ledger.acknowledged_ids();
        let mut forgotten = 0;
        let step = (known.len() / REPEATED).max(1);
        let some = known.iter().step_by(step).chain(known.iter().rev().take(REPEATED));
        for (number, id) in some {
            let told = desk.publish(*number).await;
            ensure!(told.is_accepted(), "event {number}, accepted and repeated, is answered with {told:?}");
            let now = desk.ledger.acknowledged_ids();
            forgotten += u64::from(now.get(number) != Some(id));
        }
        Ok(forgotten)
    }
}
