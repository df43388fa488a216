//! One run in which one call fails, and what must be so afterwards.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use posthaste_store::verify;

use super::{STOP_MS_MAX, Scene};
use crate::rig::fail::{Fault, Report};
use crate::rig::publishing::{Product, Told};
use crate::rig::server::{Plan, Server};
use crate::rig::stored::Stored;
use crate::rig::wait::becomes;

/// How many events are published one after the other.
const EVENTS: u64 = 10;
/// How long a run that ought to end is waited for.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How long what is stored may take to arrive after the next start: longer than the first delay of a retry.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(20);
/// The files that hold what was acknowledged: a failed write or sync of one of them ends everything.
const VITAL_FILES: [&str; 3] = ["posthaste.db", "posthaste.db-wal", "posthaste.db-shm"];

/// What callers are told by a store that failed, has no room, or is at its end.
const REFUSALS: [&str; 3] = ["store_failed", "storage_full", "unavailable"];

/// What publishers were told, by the numbers of their events.
#[derive(Default)]
pub struct Heard {
    pub acknowledged: Vec<u64>,
    /// 5xx, or nothing.
    pub unknown: Vec<u64>,
    /// Those of them that were told that there is no room.
    pub full: Vec<u64>,
    /// Refusals that do not say what is the matter.
    pub odd: Vec<Told>,
    /// Bytes of padding in each event.
    pub padding: usize,
}

/// How a run ended.
struct Ending {
    /// Did it end before it was told to?
    by_itself: bool,
    /// Did it say where it listens?
    has_listened: bool,
    /// Did it end well?
    is_success: bool,
    /// The time from the failed call to the end.
    after_ms: Option<f64>,
    /// Had the call failed when it was told to end?
    failed_before: bool,
}

/// Tries it, and answers how many calls of the kind there were.
pub async fn run(scene: &Scene, name: &str, fault: &Fault) -> anyhow::Result<u64> {
    let plain = scene.copy(name)?;
    let (plan, report) = Report::prepare(plain.clone(), &scene.library, fault)?;
    let mut heard = Heard::default();
    let first = scene.numbers.fetch_add(EVENTS, Ordering::Relaxed);
    let ending =
        live(&plan, &report, fault, first, &mut heard).await.with_context(|| format!("{fault:?}"))?;
    judge(scene, fault, &report, &ending, &heard)?;
    reopen(scene, &plain, &format!("{fault:?}"), heard).await?;
    let calls = report.calls()?;
    std::fs::remove_dir_all(&plain.folder)?;
    Ok(calls)
}

/// Publishes until everything is said or the process ends, and sees it to its end.
async fn live(
    plan: &Plan,
    report: &Report,
    fault: &Fault,
    first: u64,
    heard: &mut Heard,
) -> anyhow::Result<Ending> {
    let mut server = match Server::spawn(plan).await {
        Ok(server) => server,
        Err(error) => {
            ensure!(
                format!("{error:#}").contains("exit status: 1"),
                "it does not end with code 1: {error:#}"
            );
            let (by_itself, failed_before) = (true, true);
            let after_ms = report.failed_ms_ago()?;
            return Ok(Ending { by_itself, has_listened: false, is_success: false, after_ms, failed_before });
        }
    };
    let product = server.product("acme")?;
    for number in first..first + EVENTS {
        if !heard.publish(&product, number).await {
            break;
        }
    }
    // What fails later is not waited for.
    let failed_before = report.failed_ms_ago()?.is_some();
    let ends_everything = failed_before && !fault.how.is_harmless() && is_vital(fault, &report.file()?);
    if ends_everything && !fault.is_for_room() {
        server.ends_within(END_PATIENCE).await;
    }
    let by_itself = server.has_ended();
    if !by_itself && fault.is_for_room() {
        // What it could not record it would wait for, and another call may have to fail at a moment of no warning.
        server.discard().await?;
    } else if !by_itself {
        server.terminate()?;
    }
    let is_success = server.wait().await?.success();
    Ok(Ending { by_itself, has_listened: true, is_success, after_ms: report.failed_ms_ago()?, failed_before })
}

fn is_vital(fault: &Fault, file: &str) -> bool {
    matches!(fault.kind, "sync" | "write") && VITAL_FILES.contains(&file)
}

/// Was the end of the run what it should be?
fn judge(
    scene: &Scene,
    fault: &Fault,
    report: &Report,
    ending: &Ending,
    heard: &Heard,
) -> anyhow::Result<()> {
    let (context, file) = (&scene.context, report.file()?);
    let Some(after_ms) = ending.after_ms else {
        ensure!(ending.is_success || fault.is_for_room(), "it ends badly although nothing failed: {fault:?}");
        return Ok(());
    };
    context.report("store_failure.failed", 1.0)?;
    scene.failed.fetch_add(1, Ordering::Relaxed);
    context.report("store_failure.at_start", f64::from(u8::from(!ending.has_listened)))?;
    context.report("store_failure.stopped", f64::from(u8::from(ending.by_itself)))?;
    if fault.how.is_harmless() && (!ending.is_success || !heard.unknown.is_empty()) {
        context.object(format!("{fault:?} of {file} is noticed"));
    }
    if !is_vital(fault, &file) || fault.how.is_harmless() {
        return Ok(());
    }
    if !fault.is_for_room() {
        let synced = report.synced_after()?;
        context.report("store_failure.synced_again", synced as f64)?;
        if synced > 0 {
            context.object(format!("{fault:?}: {file} was synced {synced} times after it failed"));
        }
        context.report("store_failure.judged", f64::from(u8::from(ending.failed_before)))?;
        let went_on = ending.failed_before && !ending.by_itself;
        context.report("store_failure.went_on", f64::from(u8::from(went_on)))?;
        if went_on {
            context.object(format!("{fault:?} of {file}: it goes on"));
        }
    }
    if ending.by_itself {
        context.report("store_failure.stop_ms", after_ms)?;
        if after_ms > STOP_MS_MAX {
            context.object(format!("{fault:?} of {file}: it ends only after {after_ms:.0} ms"));
        }
    }
    Ok(())
}

/// Opens the store again without faults: what was acknowledged is there, what is unknown is settled by repeating it.
pub async fn reopen(scene: &Scene, plan: &Plan, what: &str, heard: Heard) -> anyhow::Result<()> {
    let context = &scene.context;
    let before = Stored::default().events_by_number(&plan.data())?;
    let stored_when_full = heard.full.iter().filter(|number| before.contains_key(number)).count();
    context.report("store_failure.stored_when_full", stored_when_full as f64)?;
    if !heard.odd.is_empty() {
        context.object(format!("{what}: publishing is answered {:?}", heard.odd));
    }
    let mut server = Server::start(plan).await.with_context(|| format!("{what}: it does not start again"))?;
    let product = server.product("acme")?.padded(heard.padding);
    for number in &heard.unknown {
        let told = [product.ask(*number).await, product.ask(*number).await];
        let [Told::Accepted(first), Told::Accepted(second)] = &told else {
            context.object(format!("{what}: repeating event {number} is answered {told:?}"));
            continue;
        };
        if first != second {
            context.object(format!("{what}: repeating event {number} makes two of it"));
        }
    }
    let all: BTreeSet<u64> = heard.acknowledged.iter().chain(&heard.unknown).copied().collect();
    let not_sent = || all.difference(&scene.receiver.diary.taken("all")).count();
    becomes(ARRIVAL_PATIENCE, || not_sent() == 0).await;
    context.report("store_failure.not_sent", not_sent() as f64)?;
    if not_sent() > 0 {
        context.object(format!("{what}: {} events never arrived:\n{}", not_sent(), server.log()));
    }
    server.end().await.with_context(|| what.to_owned())?;
    let problems = verify(&plan.data(), None)?.problems;
    ensure!(problems.is_empty(), "{what}: {problems:?}");
    let stored = Stored::default().events_by_number(&plan.data())?;
    let lost = heard.acknowledged.iter().filter(|number| !stored.contains_key(number)).count();
    let not_once = all.iter().filter(|number| stored.get(number).is_some_and(|count| *count != 1)).count()
        + heard.unknown.iter().filter(|number| !stored.contains_key(number)).count();
    context.report("store_failure.acknowledged", heard.acknowledged.len() as f64)?;
    context.report("store_failure.unknown", heard.unknown.len() as f64)?;
    context.report("store_failure.lost", lost as f64)?;
    context.report("store_failure.not_once", not_once as f64)?;
    if lost + not_once + stored_when_full > 0 {
        context.object(format!(
            "{what}: {lost} lost, {not_once} not once, {stored_when_full} stored though refused"
        ));
    }
    Ok(())
}

impl Heard {
    /// Publishes an event and notes the answer; `false` if nobody is there any more.
    pub async fn publish(&mut self, product: &Product, number: u64) -> bool {
        let told = product.ask(number).await;
        match &told {
            Told::Accepted(_) => self.acknowledged.push(number),
            Told::Refused(..) | Told::Nothing => self.unknown.push(number),
        }
        if let Told::Refused(status, code) = &told
            && (*status != 503 || !REFUSALS.contains(&code.as_str()))
        {
            self.odd.push(told.clone());
        }
        if told.is_full() {
            self.full.push(number);
        }
        told != Told::Nothing
    }
}
