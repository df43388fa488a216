//! The end of a world: everything has arrived, and the books are held against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{ACCOUNT, GUESTS, OTHER, World};
use crate::rig::diary::Copies;
use crate::rig::receiver::Receiver;
use crate::rig::server::{PATIENCE, Server};
use crate::rig::stored::{Stored, without_delivery};
use crate::rig::traffic::is_broadcast;
use crate::rig::wait::drains;

/// How long nothing may come of what is missing: well over the first delay of the standard contract.
const STILL_MAX: Duration = Duration::from_secs(15);
/// How many events are asked about at the end.
const ASKED_ABOUT: usize = 60;
/// How long the log is waited for after the last event was received.
const RECORD_PATIENCE: Duration = Duration::from_secs(20);

/// What became of it all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    /// Acknowledged events that a healthy receiver has not taken, or that are not in the store; and events without a delivery
    /// to a receiver, also one that refuses all of them.
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
    /// Waits until everything has arrived, ends the process in order and holds the books against each other. What is
    /// wrong is told in sentences.
    ///
    /// # Errors
    /// If the process does not answer, or does not end.
    pub async fn close(&mut self, mut server: Server) -> anyhow::Result<(Sum, Vec<String>)> {
        let mut wrong = Vec::new();
        // As long as the process lasts.
        let left = || if server.has_ended() { 0 } else { self.missing().len() };
        drains(PATIENCE, STILL_MAX, left).await;
        let missing = self.missing();
        let mut sum = Sum { lost: missing.len() as u64, ..Sum::default() };
        if let Some(first) = missing.first() {
            wrong.push(format!(
                "{} acknowledged events were not delivered, {first:?} among them",
                missing.len()
            ));
        }
        let mut told = Vec::new();
        if server.has_ended() {
            wrong.push(format!("the process ended by itself:\n{}", server.log()));
        } else {
            told = self.ask(&server, &missing).await?;
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
        sum.lost += self.find_vanished(&mut wrong)?;
        let refused = self.desk.ledger.refused();
        if refused > 0 {
            wrong.push(format!("{refused} events were refused as if they broke a rule"));
        }
        sum.stored_twice = counts.values().filter(|count| **count > 1).count() as u64;
        if sum.stored_twice > 0 {
            wrong.push(format!("{} events are stored more than once", sum.stored_twice));
        }
        wrong.extend(self.verify().await?);
        // Last: it may be many sentences, and only so many are kept.
        wrong.extend(told);
        sum.faults = wrong.len() as u64;
        Ok((sum, wrong))
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

    /// Looks for events that were fanned out and have no delivery to a receiver. Answers how many those are at receivers that
    /// refuse everything: what the healthy ones have not taken is known.
    fn find_vanished(&self, wrong: &mut Vec<String>) -> anyhow::Result<u64> {
        let mut at = |mailbox: &Receiver| {
            let vanished = without_delivery(&self.plan.data(), &mailbox.url)?;
            if vanished > 0 {
                wrong.push(format!(
                    "{vanished} events were fanned out and have no delivery to {}",
                    mailbox.name
                ));
            }
            anyhow::Ok(vanished)
        };
        for mailbox in &self.healthy {
            at(mailbox)?;
        }
        let mut lost = 0;
        for mailbox in self.further.iter().filter(|mailbox| mailbox.name != GUESTS) {
            lost += at(mailbox)?;
        }
        Ok(lost)
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
