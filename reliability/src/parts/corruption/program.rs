//! The program on damaged copies: whatever it does, nothing arrives that was not published, and each event only where
//! its own account wants it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::Shared;
use super::damage::Kind;
use super::fill::{self, EVENTS, Filled, LIFE_NUMBERS, LIVES, account_of};
use crate::context::Context;
use crate::dice::Dice;
use crate::rig::ledger::Ledger;
use crate::rig::listener::{Listener, Reply, Request};
use crate::rig::server::{Plan, Server};
use crate::rig::wait::becomes;

/// How long the program runs on a copy that is not expected to send anything more.
const LIFE: Duration = Duration::from_millis(600);
/// How long is waited for what should arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Copies that are damaged by chance.
const BY_CHANCE: u64 = 6;

/// What is done to a store of which everything else must go on.
const AIMED: [(&str, &str); 5] = [
    (
        "a body",
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '\"number\":4001', '\"number\":9001') AS BLOB)",
    ),
    ("a URL", "UPDATE webhooks SET url = :trap, canonical_url = :trap WHERE no = 1"),
    (
        "an audience",
        "UPDATE events SET audience_no = 3 - audience_no WHERE seq = (SELECT max(seq) FROM events)",
    ),
    ("a webhook's account", "UPDATE webhooks SET account = 3 - account WHERE no = 1"),
    (
        "a webhook's state",
        "UPDATE webhooks SET state = (SELECT state FROM webhooks WHERE no = 1) WHERE no = 3",
    ),
];

/// Who takes everything, wherever it goes.
struct Taker {
    listener: Listener,
    taken: Shared<Vec<Request>>,
}

impl Taker {
    async fn start() -> anyhow::Result<Self> {
        let taken = Shared::<Vec<Request>>::default();
        let noted = taken.clone();
        let listener = Listener::start(move |request| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            std::future::ready(Reply::OK)
        });
        Ok(Self { listener: listener.await?, taken })
    }

    fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs the program on the last snapshot, damaged in several ways.
pub async fn try_out(context: &Context, filled: &Filled) -> anyhow::Result<()> {
    let mut dice = context.dice();
    let mut started = 0;
    for (says, sql) in AIMED {
        let is_started = run_on(context, filled, says, true, |data, trap| aim(data, sql, trap)).await?;
        if !is_started {
            context.object(format!("with {says} damaged it does not start, and the rest could go on"));
        }
        started += u64::from(is_started);
    }
    for _ in 0..BY_CHANCE {
        let mut own = Dice::new(dice.next());
        let damaged = |data: &Path, _: &str| by_chance(data, filled, &mut own);
        started += u64::from(run_on(context, filled, "something", false, damaged).await?);
    }
    context.report("corruption.programs", started as f64)
}

fn by_chance(data: &Path, filled: &Filled, dice: &mut Dice) -> anyhow::Result<()> {
    // Not everything that can be damaged is there.
    while Kind::choose(dice).apply(data, filled, filled.snapshots.len() - 1, dice)?.is_none() {}
    Ok(())
}

fn aim(data: &Path, sql: &str, trap: &str) -> anyhow::Result<()> {
    let connection = open(data)?;
    let mut statement = connection.prepare(sql)?;
    match statement.parameter_count() {
        0 => statement.execute([])?,
        _ => statement.execute([trap])?,
    };
    Ok(())
}

/// The log stays beside what is opened so, as a kill leaves it.
fn open(data: &Path) -> anyhow::Result<Connection> {
    let opened = Connection::open_with_flags(data.join("posthaste.db"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    opened.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(opened)
}

/// Runs it on a copy; answers whether it started.
async fn run_on(
    context: &Context,
    filled: &Filled,
    says: &str,
    is_aimed: bool,
    damage: impl FnOnce(&Path, &str) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let folder = tempfile::tempdir()?;
    let plan = Plan::of(context, folder.path());
    let last = filled.snapshots.last().context("there is no copy")?;
    last.copy_to(&plan.data())?;
    let published = published(&plan.data())?;
    // Whatever the webhooks point to, it is led to one who notes where it was to go.
    let (taker, trap) = (Taker::start().await?, Taker::start().await?);
    let plan = lead(plan, filled, &taker);
    damage(&plan.data(), &trap.listener.url("trap"))?;
    let started = Server::start_or_end(&plan).await?;
    let is_started = started.is_ok();
    if let Ok(server) = started {
        if is_aimed {
            goes_on(context, &server, &taker, says).await?;
        }
        tokio::time::sleep(LIFE).await;
        end(context, server, is_aimed).await?;
    }
    let is_wrong = |request: &&Request| !published.contains(&request.body) && !is_of_this_life(request);
    let wrong = taker.taken().iter().filter(is_wrong).count();
    let misled = trap.taken().len() + misdirected(&taker.taken());
    context.report("corruption.wrong_bytes", wrong as f64)?;
    context.report("corruption.wrong_urls", misled as f64)?;
    if wrong > 0 {
        context.object(format!("with {says} damaged, {wrong} bodies arrived that were never published"));
    }
    if misled > 0 {
        context.object(format!("with {says} damaged, {misled} requests went where they do not belong"));
    }
    Ok(is_started)
}

/// What is sound is sent, and what is new is taken in.
async fn goes_on(context: &Context, server: &Server, taker: &Taker, says: &str) -> anyhow::Result<()> {
    let ledger = Ledger::default();
    fill::publish(server, &ledger, LIVES).await?;
    let refused = EVENTS - ledger.acknowledged() as u64;
    if refused > 0 {
        context.object(format!("with {says} damaged, {refused} new events are not taken in"));
    }
    let others_go_on = becomes(PATIENCE, || taker.taken().len() >= 20).await;
    if !others_go_on && context.bug.is_none() {
        context.object(format!("with {says} damaged, what is sound is not sent either: {}", server.log()));
    }
    Ok(())
}

/// What is damaged by chance may have ended it, with a word of that.
async fn end(context: &Context, mut server: Server, is_aimed: bool) -> anyhow::Result<()> {
    if is_aimed {
        return server.kill().await;
    }
    if server.has_ended() && !server.log().contains("damaged") {
        context.object(format!("it ends on a damaged store, and does not say why: {}", server.log()));
    }
    server.discard().await
}

/// Was it published on the damaged copy?
fn is_of_this_life(request: &Request) -> bool {
    request.number().is_some_and(|number| number / LIFE_NUMBERS == LIVES)
}

/// Requests to a path that is not of the event's own account, or whose webhook is paused.
fn misdirected(taken: &[Request]) -> usize {
    let belongs = |request: &&Request| {
        let account = request.number().map_or("", account_of);
        [format!("taking/{account}"), format!("failing/{account}")].contains(&request.path)
    };
    taken.iter().filter(|request| !belongs(request)).count()
}

/// The bodies of all events.
fn published(data: &Path) -> anyhow::Result<BTreeSet<Vec<u8>>> {
    let copy = tempfile::tempdir()?;
    for name in ["posthaste.db", "posthaste.db-wal"] {
        std::fs::copy(data.join(name), copy.path().join(name))?;
    }
    let connection = open(copy.path())?;
    let mut statement = connection.prepare("SELECT body FROM events")?;
    let bodies = statement.query_map([], |row| row.get(0))?;
    Ok(bodies.collect::<Result<_, _>>()?)
}

/// The same program, which reaches the taker where it would reach the receivers.
fn lead(plan: Plan, filled: &Filled, taker: &Taker) -> Plan {
    let ports = filled.receivers.iter().filter_map(|receiver| receiver.url.split([':', '/']).nth(4));
    ports.fold(plan, |plan, port| {
        plan.arguments(&[
            "--connect-to",
            &format!("127.0.0.1:{port}:{}:{}", taker.listener.address.ip(), taker.listener.address.port()),
        ])
    })
}
