//! A store with something of everything in it, as it lay there at several times.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::judge::Dump;
use crate::context::Context;
use crate::rig::diary::Diary;
use crate::rig::ledger::Ledger;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::scratch;
use crate::rig::server::{Plan, Server};
use crate::rig::wait::becomes;

/// Lives of the process, and events of each.
pub const LIVES: u64 = 5;
pub const EVENTS: u64 = 24;
/// Numbers of events in each life, and the second account's among them.
pub const LIFE_NUMBERS: u64 = 1_000;
const OTHERS_FROM: u64 = 500;
/// As large as the ballast of a large disk.
const BALLAST_BYTES: u64 = 8 * 1024 * 1024;
/// How long deliveries are waited for in each life.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store as it lay there at one time.
pub struct Snapshot {
    folder: PathBuf,
}

impl Snapshot {
    fn take(data: &Path, folder: PathBuf) -> anyhow::Result<Self> {
        copy_files(data, &folder)?;
        Ok(Self { folder })
    }

    /// Puts a copy somewhere.
    pub fn copy_to(&self, folder: &Path) -> anyhow::Result<()> {
        copy_files(&self.folder, folder)
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What it holds.
    pub fn dump(&self) -> anyhow::Result<Dump> {
        self.dump_of_log(u64::MAX)
    }

    /// What it holds with so many bytes of its log at most.
    pub fn dump_of_log(&self, log_bytes: u64) -> anyhow::Result<Dump> {
        let copy = scratch::folder()?;
        self.copy_to(copy.path())?;
        let log = copy.path().join("posthaste.db-wal");
        if log.metadata().is_ok_and(|log| log.len() > log_bytes) {
            std::fs::OpenOptions::new().write(true).open(log)?.set_len(log_bytes)?;
        }
        Dump::of(&copy.path().join("posthaste.db"))
    }
}

/// Puts what there is of a store somewhere, in place of what is there.
fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    let _ = std::fs::remove_file(to.join("posthaste.db-shm"));
    for name in ["posthaste.db", "posthaste.db-wal", "master.key", "posthaste.lock"] {
        match std::fs::copy(from.join(name), to.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let _ = std::fs::remove_file(to.join(name));
            }
            other => _ = other?,
        }
    }
    // Its room is never needed: a hole is enough, and costs nothing.
    std::fs::File::create(to.join("posthaste.ballast"))?.set_len(BALLAST_BYTES)?;
    Ok(())
}

/// What was filled, and what it is read with.
pub struct Filled {
    /// At several times, oldest first; the last one is owed to its receivers and was killed.
    pub snapshots: Vec<Snapshot>,
    /// The receivers of the webhooks there.
    pub receivers: Vec<Receiver>,
}

/// Runs the program and takes copies of its files after it was ended and after it was killed.
pub async fn fill(context: &Context, folder: &Path) -> anyhow::Result<Filled> {
    let plan = Plan::new(&context.programs.shipped, folder);
    let ledger = Ledger::default();
    let diary = Arc::default();
    let receivers = [
        Receiver::start("taking", Manner::Prompt, &diary).await?,
        Receiver::start("failing", Manner::Refusing(500), &diary).await?,
    ];
    let mut snapshots = Vec::new();
    for life in 0..LIVES {
        let mut server = Server::start(&plan).await?;
        if life == 0 {
            settle(&server, &receivers).await?;
        }
        let is_last = life == LIVES - 1;
        receivers[0].set_open(!is_last);
        publish(&server, &ledger, life).await?;
        if !is_last {
            becomes(PATIENCE, || is_all_taken(&ledger, &diary)).await;
            // What arrived is to be recorded.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match life % 2 {
            1 => {
                server.end().await?;
            }
            _ => server.kill().await?,
        }
        snapshots.push(Snapshot::take(&plan.data(), folder.join(format!("snapshot-{life}")))?);
    }
    receivers[0].set_open(true);
    receivers[1].behave(Manner::Prompt);
    Ok(Filled { snapshots, receivers: receivers.into() })
}

/// Has each account's event arrived where the account takes events?
fn is_all_taken(ledger: &Ledger, diary: &Diary) -> bool {
    let taken = |account: &str| diary.taken(&format!("taking/{account}"));
    let (acme, other) = (taken("acme"), taken("other"));
    ledger.acknowledged_ids().into_keys().all(|number| acme.contains(&number) || other.contains(&number))
}

/// Whose event it is.
pub fn account_of(number: u64) -> &'static str {
    if number % LIFE_NUMBERS < OTHERS_FROM { "acme" } else { "other" }
}

/// Two accounts with keys and tokens, and with webhooks at paths of their own, one of them paused.
async fn settle(server: &Server, receivers: &[Receiver]) -> anyhow::Result<()> {
    for account in ["acme", "other"] {
        let key = server.account(account).await?;
        server
            .admin
            .post(&format!("/accounts/{account}/keys"), &json!({"description": "a second one"}))
            .await?;
        for receiver in receivers {
            server.webhook(&key, &format!("{}/{account}", receiver.url)).await?;
        }
        let paused = server.webhook(&key, &format!("{}/{account}/paused", receivers[0].url)).await?;
        let id = paused["id"].as_str().context("no id")?;
        server.admin.post(&format!("/accounts/{account}/webhooks/{id}/pause"), &json!({})).await?;
        server.admin.post("/tokens", &json!({"name": format!("for {account}"), "scope": "read"})).await?;
    }
    Ok(())
}

/// Publishes the events of a life for both accounts.
pub async fn publish(server: &Server, ledger: &Ledger, life: u64) -> anyhow::Result<()> {
    for account in ["acme", "other"] {
        let product = server.product(account)?.padded(if life == 2 { 10_000 } else { 300 });
        for number in 0..EVENTS / 2 {
            let number = life * LIFE_NUMBERS + number + if account == "acme" { 0 } else { OTHERS_FROM };
            product.publish(number, ledger).await;
        }
    }
    Ok(())
}
