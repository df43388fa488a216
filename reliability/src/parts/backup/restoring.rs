//! Stores put back from a backup, step by step as docs/operating.md says, and what goes wrong there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use rusqlite::Connection;
use serde_json::json;

use super::{back_up, is_sound};
use crate::context::Context;
use crate::rig::ledger::Ledger;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::server::{PATIENCE, Plan, Server};
use crate::rig::wait::becomes;

/// Events that a store owes when it is backed up.
const OWED: u64 = 20;
/// How long an old store is watched for anything that it sends unasked.
const WATCHED: Duration = Duration::from_secs(2);

/// Backs a store up that owes something, and puts the copy back: at once, long after, and beside the log of the store
/// that was there.
pub async fn put_back(context: &Context, plan: &Plan, folder: &Path) -> anyhow::Result<()> {
    let ledger = Ledger::default();
    let receiver = Receiver::start("later", Manner::Prompt, &Arc::default()).await?;
    let own = folder.join("owing");
    std::fs::create_dir(&own)?;
    let owing = Plan { folder: own.clone(), ..plan.clone() };
    let (copy, log) = owe(&owing, &receiver, &ledger).await?;
    beside_old_log(context, &owing, &copy, &log).await?;
    // A stop of two days is no restore: nothing is marked in the store itself.
    let is_marked = Connection::open(owing.data().join("posthaste.db"))?
        .query_row("SELECT 1 FROM meta WHERE key = 'copied_ms'", [], |_| Ok(()))
        .is_ok();
    ensure!(!is_marked, "the store itself is marked as a copy");
    for hours in [0, 48] {
        restore(&owing, &copy)?;
        age(&owing, hours)?;
        ensure!(is_sound(&owing, &owing.data()).await?, "what was put back is damaged");
        match hours {
            0 => goes_on(context, &owing, &receiver).await?,
            _ => is_held(context, &owing, &receiver, &ledger).await?,
        }
    }
    context.report("backup.put_back", 2.0)
}

/// A store with deliveries that nobody has taken, ended by a kill. Answers a backup of it, and the log beside it then.
async fn owe(plan: &Plan, receiver: &Receiver, ledger: &Ledger) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    receiver.set_open(false);
    let mut server = Server::start(plan).await?;
    let key = server.account("acme").await?;
    server.webhook(&key, &receiver.url).await?;
    let product = server.product("acme")?;
    for number in 0..OWED {
        ensure!(product.publish(number, ledger).await.is_accepted(), "event {number} is not accepted");
    }
    let copy = plan.folder.join("copy.db");
    let output = back_up(plan, &copy).await?;
    ensure!(output.status.success(), "no backup: {}", String::from_utf8_lossy(&output.stderr));
    server.kill().await?;
    let log = std::fs::read(plan.data().join("posthaste.db-wal"))?;
    Ok((copy, log))
}

/// Stop, put file and key in place, take the log and its index away.
fn restore(plan: &Plan, copy: &Path) -> anyhow::Result<()> {
    let data = plan.data();
    for name in ["posthaste.db-wal", "posthaste.db-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    std::fs::copy(copy, data.join("posthaste.db"))?;
    Ok(())
}

/// Makes the copy as old as that.
fn age(plan: &Plan, hours: i64) -> anyhow::Result<()> {
    let connection = Connection::open(plan.data().join("posthaste.db"))?;
    let sql = "UPDATE meta SET value = value - ?1 WHERE key = 'copied_ms'";
    ensure!(connection.execute(sql, [hours * 3_600_000])? == 1, "the copy is not marked");
    Ok(())
}

/// Whoever forgets to take the old log away must not get two stores in one.
async fn beside_old_log(context: &Context, plan: &Plan, copy: &Path, log: &[u8]) -> anyhow::Result<()> {
    restore(plan, copy)?;
    std::fs::write(plan.data().join("posthaste.db-wal"), log)?;
    if let Ok(mut server) = Server::start_or_end(plan).await? {
        server.kill().await?;
        context.object("a backup was opened with the log of the store that was there before");
    }
    let said = std::fs::read_to_string(plan.folder.join("log"))?;
    if !said.contains("posthaste.db-wal") {
        context.object("that a log does not belong to a backup is not said with its name");
    }
    Ok(())
}

/// A copy of just now goes on by itself.
async fn goes_on(context: &Context, plan: &Plan, receiver: &Receiver) -> anyhow::Result<()> {
    // Nothing of it is to be taken: the next copy owes the same.
    let before = receiver.diary.arrived();
    receiver.behave(Manner::Refusing(503));
    receiver.set_open(true);
    let mut server = Server::start(plan).await?;
    if !becomes(PATIENCE, || receiver.diary.arrived() > before).await {
        context.object("a store put back at once sends nothing");
    }
    server.kill().await?;
    Ok(())
}

/// An old one waits until somebody says that it may go on; what is published meanwhile waits with it.
async fn is_held(context: &Context, plan: &Plan, receiver: &Receiver, ledger: &Ledger) -> anyhow::Result<()> {
    receiver.behave(Manner::Prompt);
    receiver.set_open(true);
    // Whatever comes from the start on comes unasked.
    let before = receiver.diary.arrived();
    let mut server = Server::start(plan).await?;
    let product = server.product("acme")?;
    ensure!(product.publish(OWED, ledger).await.is_accepted(), "a held store takes nothing in");
    tokio::time::sleep(WATCHED).await;
    server.kill().await?;
    // Another start changes nothing of that.
    let server = Server::start(plan).await?;
    tokio::time::sleep(WATCHED / 4).await;
    let unasked = receiver.diary.arrived() - before;
    context.report("backup.sent_unasked", unasked as f64)?;
    if unasked > 0 {
        context.object(format!("an old store that was put back sent {unasked} requests unasked"));
        return Ok(());
    }
    let sending = server.admin.get("/sending").await?;
    ensure!(sending["state"] == "held", "it says: {sending}");
    let waiting = sending["pending"].as_u64().unwrap_or(0) + sending["events"].as_u64().unwrap_or(0);
    ensure!(waiting > OWED, "it does not say how much waits: {sending}");
    let shown = plan.command(&["sending", "release", "--data-dir", "data"]).output().await?;
    ensure!(shown.status.success(), "not let go: {}", String::from_utf8_lossy(&shown.stderr));
    becomes(PATIENCE, || receiver.missing(ledger).is_empty()).await;
    context.report("backup.not_sent", receiver.missing(ledger).len() as f64)?;
    let changes = server.admin.get("/audit?action=sending.released").await?;
    ensure!(
        changes["data"].as_array().is_some_and(|items| items.len() == 1),
        "not in the audit log: {changes}"
    );
    ensure!(
        server.admin.post("/sending/release", &json!({})).await?["state"] == "running",
        "it is held again"
    );
    Ok(())
}
