//! Filled stores of every earlier version: whole before and after, killed in each step of the way, delivered by the program.

mod filled;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::server::{Plan, Server};
use filled::{Filled, NEWEST, Row, VERSIONS};

/// The part.
pub const PART: Part = Part {
    name: "upgrade",
    says: "filled stores of every earlier version, killed in each step of being brought up to date, then delivered",
    is_alone: false,
    figures: &[
        Figure::count("upgrade.versions", "earlier versions of the store that were brought up to date"),
        Figure::count("upgrade.kills", "processes killed in a step of bringing a store up to date"),
        Figure::count("upgrade.rows", "rows of older stores compared before and after"),
        Figure::never("upgrade.lost", "rows of older stores that were missing or different after"),
        Figure::some("upgrade.delivered", "deliveries pending in older stores that the program made"),
        Figure::never(
            "upgrade.left",
            "deliveries pending and due in older stores that the program did not make",
        ),
    ],
    run,
};

/// The host that the webhooks of the stores lead to.
const HOST: &str = "taker.test:80";
/// The longest wait for what is owed.
const WITHIN: Duration = Duration::from_secs(30);

fn run(context: Context) -> Running {
    Box::pin(async move {
        for version in VERSIONS {
            let tried = try_version(&context, version).await;
            tried.with_context(|| format!("a store of version {version}"))?;
            context.report("upgrade.versions", 1.0)?;
        }
        Ok(())
    })
}

async fn try_version(context: &Context, version: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let filled = Filled::make(version, &folder.path().join("data"))?;
    verify(context, version, "before", &filled).await?;
    let before = filled.rows()?;
    ensure!(!before.is_empty(), "the store is empty: this proves nothing");
    let receiver = Receiver::start("taker", Manner::Prompt, &Arc::default()).await?;
    let address = receiver.url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
    let led_to = format!("{HOST}:{address}");
    let plan = |program: &Path| {
        Plan::new(program, folder.path()).bug(context.bug.as_deref()).arguments(&["--connect-to", &led_to])
    };
    kill_in_each_step(context, version, &filled, &before, plan(&context.programs.armed)).await?;
    compare(context, version, &before, &filled.rows()?)?;
    verify(context, version, "after", &filled).await?;
    deliver(context, version, &filled, &plan(context.program()), &receiver).await?;
    verify(context, version, "after its deliveries", &filled).await?;
    refuse_newer(context, &filled, &plan(context.program())).await
}

/// Kills the process after each step, which must leave the store as it was, and at last when it is open and up to date.
async fn kill_in_each_step(
    context: &Context,
    version: usize,
    filled: &Filled,
    before: &BTreeMap<String, Vec<Row>>,
    plan: Plan,
) -> anyhow::Result<()> {
    for step in version..NEWEST {
        let point = format!("store.between-migrations:{}", step + 1 - version);
        kill_at(&plan, &point).await?;
        context.report("upgrade.kills", 1.0)?;
        if filled.version()? != version || filled.rows()? != *before {
            context.object(format!("version {version}: a kill at {point} left half of a step"));
        }
    }
    kill_at(&plan, "store.opened").await?;
    context.report("upgrade.kills", 1.0)?;
    let reached = filled.version()?;
    ensure!(
        reached == NEWEST,
        "it is at version {reached}, and stores are made up to the one before {NEWEST}"
    );
    Ok(())
}

async fn kill_at(plan: &Plan, point: &str) -> anyhow::Result<()> {
    let plan = plan.clone().with("POSTHASTE_FAULT_POINT", point);
    let has_ended = Server::start_or_end(&plan).await?.is_err();
    ensure!(has_ended, "the program does not come by {point}");
    Ok(())
}

/// Every row of the store as it was is there, with what its columns held.
fn compare(
    context: &Context,
    version: usize,
    before: &BTreeMap<String, Vec<Row>>,
    after: &BTreeMap<String, Vec<Row>>,
) -> anyhow::Result<()> {
    let (mut rows, mut lost) = (0, 0);
    for (table, old) in before {
        let new = after.get(table).map(Vec::as_slice).unwrap_or_default();
        rows += old.len();
        lost += old.iter().filter(|row| !new.iter().any(|other| row.is_in(other))).count();
        if new.len() > old.len() && table != "meta" {
            let more = new.len() - old.len();
            context.object(format!("version {version}: {more} rows of {table} came by the upgrade"));
        }
    }
    context.report("upgrade.rows", rows as f64)?;
    context.report("upgrade.lost", lost as f64)?;
    if lost > 0 {
        context.object(format!(
            "version {version}: {lost} of {rows} rows are missing or different after the upgrade"
        ));
    }
    Ok(())
}

/// What was pending and is due is delivered.
async fn deliver(
    context: &Context,
    version: usize,
    filled: &Filled,
    plan: &Plan,
    receiver: &Receiver,
) -> anyhow::Result<()> {
    let owed = filled.owed()?;
    ensure!(!owed.is_empty(), "nothing is owed: this proves nothing");
    let mut server = Server::start(plan).await?;
    let until = tokio::time::Instant::now() + WITHIN;
    let mut left = owed.len();
    while left > 0 && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = filled.not_delivered(&owed)?;
    }
    server.end().await?;
    let (made, arrived) = (owed.len() - left, receiver.diary.arrived());
    context.report("upgrade.delivered", made as f64)?;
    if arrived < made {
        context.object(format!("version {version}: {made} deliveries are called made, {arrived} arrived"));
    }
    context.report("upgrade.left", left as f64)?;
    if left > 0 {
        context.object(format!("version {version}: {left} of {} deliveries were not made", owed.len()));
    }
    Ok(())
}

/// The program's own check of the store finds nothing.
async fn verify(context: &Context, version: usize, when: &str, filled: &Filled) -> anyhow::Result<()> {
    let mut command = Command::new(&context.programs.shipped);
    let output = command.arg("verify").arg(&filled.folder).stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        context.object(format!("version {version}, {when}: verify finds {said}{why}"));
    }
    Ok(())
}

/// A store of a version to come is refused with a sentence that says so, and stays as it is.
async fn refuse_newer(context: &Context, filled: &Filled, plan: &Plan) -> anyhow::Result<()> {
    filled.mark_as_of(filled.version()? + 1)?;
    let before = filled.files()?;
    let refused = Server::start_or_end(plan).await?;
    let log = std::fs::read_to_string(plan.folder.join("log")).unwrap_or_default();
    if refused.is_ok() || !log.contains("later version of Posthaste") {
        context.object("a store of a later version is not refused for that");
    }
    if filled.files()? != before {
        context.object("a store of a later version was changed");
    }
    Ok(())
}
