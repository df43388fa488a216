//! A product with two accounts and receivers of several manners, and what must be so at the end, whatever happened to
//! the process in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use posthaste_core::Secret;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::Client;
use super::diary::{Copies, Diary};
use super::ledger::Ledger;
use super::publishing::Product;
use super::receiver::{Manner, Receiver};
use super::server::{PATIENCE, Plan, Server};
use super::signature::SigningSecret;
use super::stored::Stored;
use super::traffic::{Desk, is_broadcast};

/// The account that events are for.
const ACCOUNT: &str = "acme";
/// The account that only gets what is for all.
const OTHER: &str = "other";
/// The account without webhooks.
const NOBODY: &str = "nobody";
/// What one event without a webhook weighs.
const FILLING_BYTES: usize = 200 * 1024;
/// How long the slow receiver takes.
const SLOW: Duration = Duration::from_millis(40);
/// How long a customer's webhook takes that comes and goes: when it goes, something waits for it.
const GUESTS_TAKE: Duration = Duration::from_millis(500);
/// How often it is looked whether everything has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long nothing may come of what is missing: well over the first delay of the standard contract.
const STILL_MAX: Duration = Duration::from_secs(15);
/// How many acknowledged events are published again after a restart, to see that they are known.
const REPEATED: usize = 4;
/// How many events are asked about at the end.
const ASKED_ABOUT: usize = 60;
/// How long the log is waited for after the last event was received.
const RECORD_PATIENCE: Duration = Duration::from_secs(20);

/// The world around the process.
pub struct World {
    /// How the process is started.
    pub plan: Plan,
    /// Who publishes, and the books.
    pub desk: Desk,
    /// Receivers that take everything; those at the end get only what is for all accounts.
    healthy: Vec<Receiver>,
    /// The others.
    _further: Vec<Receiver>,
    stored: Stored,
    /// By receiver and number, in which life the delivery was first found recorded after a crash.
    recorded: BTreeMap<(String, u64), u32>,
    /// By life, how many copies had arrived without being recorded when it ended.
    unrecorded: BTreeMap<u32, u64>,
}

/// What became of it all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    /// Acknowledged events that a healthy receiver has not taken, or that are not in the store.
    pub lost: u64,
    /// Copies beyond the first at healthy receivers.
    pub repeated: u64,
    /// How many there may have been: what had arrived and was not recorded when a process ended.
    pub bound: u64,
    /// The most that one end of a process has repeated.
    pub repeated_by_one: u64,
    /// Copies of what was recorded, or of what no end of a process explains.
    pub unexplained: u64,
    /// Events stored more often than once.
    pub stored_twice: u64,
    /// Copies that were signed with the secret of their webhook.
    pub signed: u64,
    /// Everything else that should not be so.
    pub faults: u64,
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
        let guests = Receiver::start("guests", Manner::Slow(GUESTS_TAKE), &diary).await?;
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
            guests_at,
        };
        Ok(Self {
            plan,
            desk,
            healthy,
            _further: further,
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
            let own = |mailbox: &&Receiver| {
                (mailbox.name == OTHER) == (account == OTHER) && mailbox.name != "guests"
            };
            for mailbox in self.healthy.iter().chain(&self._further).filter(own) {
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
    pub fn note_crash(&mut self) -> anyhow::Result<()> {
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

    /// Waits until everything has arrived, ends the process in order and holds the books against each other. What is
    /// wrong is told in sentences.
    ///
    /// # Errors
    /// If the process does not answer, or does not end.
    pub async fn close(&mut self, mut server: Server) -> anyhow::Result<(Sum, Vec<String>)> {
        let mut wrong = Vec::new();
        let missing = self.wait_for_missing(&mut server).await;
        let mut sum = Sum { lost: missing.len() as u64, ..Sum::default() };
        if let Some(first) = missing.first() {
            wrong.push(format!(
                "{} acknowledged events were not delivered, {first:?} among them",
                missing.len()
            ));
        }
        if server.has_ended() {
            wrong.push(format!("the process ended by itself:\n{}", server.log()));
        } else {
            wrong.extend(self.ask(&server, &missing).await?);
            server.end().await?;
        }
        self.count_copies(&mut sum, &mut wrong);
        self.hold_log_against_receivers(&mut wrong)?;
        // Not what is known of earlier copies, but what is there now.
        let counts = Stored::default().events_by_number(&self.plan.data())?;
        let accepted = self.desk.ledger.acknowledged_ids();
        let absent: Vec<u64> = accepted.into_keys().filter(|number| !counts.contains_key(number)).collect();
        if let Some(first) = absent.first() {
            sum.lost += absent.len() as u64;
            wrong.push(format!("{} acknowledged events are not stored, {first} among them", absent.len()));
        }
        sum.stored_twice = counts.values().filter(|count| **count > 1).count() as u64;
        if sum.stored_twice > 0 {
            wrong.push(format!("{} events are stored more than once", sum.stored_twice));
        }
        wrong.extend(self.verify().await?);
        sum.faults = wrong.len() as u64;
        Ok((sum, wrong))
    }

    /// Waits until nothing is missing, as long as patience lasts, the process does, and anything comes; answers what is
    /// missing then.
    async fn wait_for_missing(&self, server: &mut Server) -> Vec<(&'static str, u64)> {
        let until = Instant::now() + PATIENCE;
        let (mut fewest, mut still_since) = (usize::MAX, Instant::now());
        loop {
            let missing = self.missing();
            if missing.len() < fewest {
                (fewest, still_since) = (missing.len(), Instant::now());
            }
            let is_over = Instant::now() > until || still_since.elapsed() > STILL_MAX;
            if missing.is_empty() || server.has_ended() || is_over {
                return missing;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Acknowledged events that a healthy receiver has not taken.
    fn missing(&self) -> Vec<(&'static str, u64)> {
        let acknowledged = self.desk.ledger.acknowledged_ids();
        let mut missing = Vec::new();
        for mailbox in &self.healthy {
            let taken = self.desk.diary.taken(mailbox.name);
            let is_for = |number: &u64| mailbox.name != OTHER || is_broadcast(*number);
            let absent = acknowledged.keys().filter(|number| is_for(number) && !taken.contains(number));
            missing.extend(absent.map(|number| (mailbox.name, *number)));
        }
        missing
    }

    /// Asks about some events, among them those that are missing: each webhook of the account has an outcome, and the
    /// healthy ones a delivery.
    async fn ask(&self, server: &Server, missing: &[(&str, u64)]) -> anyhow::Result<Vec<String>> {
        let ids = self.desk.ledger.acknowledged_ids();
        let step = (ids.len() / ASKED_ABOUT).max(1);
        let some = ids.keys().step_by(step).chain(missing.iter().take(ASKED_ABOUT).map(|(_, number)| number));
        let asked_about: BTreeSet<u64> = some.copied().collect();
        let until = Instant::now() + RECORD_PATIENCE;
        let mut wrong = Vec::new();
        for (number, id) in ids.iter().filter(|(number, _)| asked_about.contains(number)) {
            loop {
                let event = server.admin.get(&format!("/events/{id}")).await.map_err(|failure| {
                    anyhow::anyhow!("acknowledged event {number} ({id}) is not to be found: {failure}")
                })?;
                let told = unaccounted(&event, is_broadcast(*number));
                if told.is_none() || !missing.is_empty() || Instant::now() > until {
                    wrong.extend(told.map(|told| format!("event {number}: {told}")));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(wrong)
    }

    fn count_copies(&self, sum: &mut Sum, wrong: &mut Vec<String>) {
        let mut by_life: BTreeMap<u32, u64> = BTreeMap::new();
        for mailbox in &self.healthy {
            for (number, copies) in self.desk.diary.at(mailbox.name) {
                let key = (mailbox.name.to_owned(), number);
                for pair in copies.copies.windows(2) {
                    sum.repeated += 1;
                    *by_life.entry(pair[0].life).or_default() += 1;
                    let is_recorded = self.recorded.get(&key).is_some_and(|life| *life < pair[1].life);
                    let is_explained = pair[0].life < pair[1].life
                        && self.unrecorded.contains_key(&pair[0].life)
                        && !is_recorded;
                    if !is_explained {
                        sum.unexplained += 1;
                        wrong.push(format!("{key:?} was repeated without a reason: {pair:?}"));
                    }
                }
            }
        }
        sum.bound = self.unrecorded.values().sum();
        sum.repeated_by_one = by_life.into_values().max().unwrap_or_default();
        let altered = self.desk.diary.altered();
        if altered > 0 {
            wrong.push(format!("{altered} events have copies of other ids or bytes"));
        }
        let (signed, forged) = self.desk.diary.signed_and_forged();
        sum.signed = signed;
        if forged > 0 {
            wrong.push(format!("{forged} copies are not signed with the secret of their webhook"));
        }
        let other = self.healthy.iter().map(|mailbox| self.with_other_content(mailbox.name)).sum::<usize>();
        if other > 0 {
            wrong.push(format!("{other} events arrived with other content than was published"));
        }
        wrong.extend(self.desk.diary.late().into_iter().map(|late| format!("{late} after it was deleted")));
    }

    /// How many events at a receiver are not as they were published. Their number is; the padding goes by it.
    fn with_other_content(&self, receiver: &str) -> usize {
        let is_other =
            |(number, copies): &(u64, Copies)| copies.padding != Some(self.desk.event(*number).padding);
        self.desk.diary.at(receiver).into_iter().filter(is_other).count()
    }

    /// What the log calls delivered was received, and nothing was received that nobody published.
    fn hold_log_against_receivers(&mut self, wrong: &mut Vec<String>) -> anyhow::Result<()> {
        let delivered = self.stored.delivered(&self.plan.data())?;
        let (accepted, open) = (self.desk.ledger.acknowledged_ids(), self.desk.ledger.left_open());
        for mailbox in &self.healthy {
            let taken = self.desk.diary.taken(mailbox.name);
            let of_it = delivered.iter().filter(|(name, _)| name == mailbox.name);
            let never = of_it.filter(|(_, number)| !taken.contains(number)).count();
            if never > 0 {
                wrong.push(format!(
                    "{never} deliveries to {} are in the log and were not received",
                    mailbox.name
                ));
            }
            let is_accepted = |number: &u64| accepted.contains_key(number) || open.contains(number);
            let uninvited = taken.iter().filter(|number| !is_accepted(number)).count();
            if uninvited > 0 {
                wrong.push(format!("{uninvited} events at {} were not accepted", mailbox.name));
            }
            let is_foreign = |number: &u64| mailbox.name == OTHER && !is_broadcast(*number);
            let foreign = self.desk.diary.at(mailbox.name).into_keys().filter(is_foreign).count();
            if foreign > 0 {
                wrong.push(format!("{foreign} events of {ACCOUNT} were sent to {OTHER}"));
            }
        }
        Ok(())
    }

    async fn verify(&self) -> anyhow::Result<Option<String>> {
        let mut verify = tokio::process::Command::new(&self.plan.program);
        verify.arg("verify").arg(self.plan.data()).current_dir(&self.plan.folder).env_clear();
        let output = verify.output().await?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((!output.status.success()).then(|| format!("verify: {told}")))
    }
}

/// What is wrong with how an event is told to have fared; `None` if nothing.
fn unaccounted(event: &Value, is_broadcast: bool) -> Option<String> {
    let webhooks = event["webhooks"].as_array().cloned().unwrap_or_default();
    let count = |wanted: &str| webhooks.iter().filter(|webhook| webhook["status"] == wanted).count();
    let delivered = count("delivered");
    let expected = if is_broadcast { 3 } else { 2 };
    let known =
        ["delivered", "pending", "held", "failed", "canceled", "not_sent"].map(count).iter().sum::<usize>();
    if known != webhooks.len() {
        return Some(format!("an outcome is none: {}", event["webhooks"]));
    }
    (delivered < expected)
        .then(|| format!("{delivered} of {expected} deliveries are told: {}", event["webhooks"]))
}
