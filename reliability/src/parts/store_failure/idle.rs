//! The log cannot be written back while nobody asks for anything: all the same the process ends soon.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::trial::{self, Heard};
use super::{STOP_MS_MAX, Scene};
use crate::rig::fail::{Fault, How, Report};
use crate::rig::server::Server;

/// The log is written back when it has a thousand pages of 8 KiB: fifty events are enough for that. A machine with much
/// else to do may need more of them until a log is written back to its end.
const EVENTS_MAX: u64 = 500;
const EVENT_BYTES: usize = 160 * 1024;
/// So many at once, and then a rest.
const AT_ONCE: u64 = 20;
const REST: Duration = Duration::from_millis(400);
/// How long the end is waited for.
const PATIENCE: Duration = Duration::from_secs(6);

/// A failed write and a failed sync of the file that only the log is written back to.
pub async fn both(scene: &Scene) -> anyhow::Result<()> {
    tokio::try_join!(one(scene, "write"), one(scene, "sync"))?;
    Ok(())
}

async fn one(scene: &Scene, kind: &'static str) -> anyhow::Result<()> {
    let context = &scene.context;
    // A start syncs the file once.
    let at = if kind == "sync" { 2 } else { 1 };
    let fault = Fault { kind, file: Some("posthaste.db"), at, how: How::Io, goes_on: false };
    let what = format!("writing the log back: {kind}");
    let plain = scene.copy(&format!("idle-{kind}"))?;
    let (plan, report) = Report::prepare(plain.clone(), &scene.library, &fault)?;
    let mut server = Server::start(&plan).await?;
    let product = server.product("acme")?.padded(EVENT_BYTES);
    let mut heard = Heard { padding: EVENT_BYTES, ..Heard::default() };
    let first = scene.numbers.fetch_add(EVENTS_MAX, Ordering::Relaxed);
    for number in 0..EVENTS_MAX {
        if report.failed_ms_ago()?.is_some() || !heard.publish(&product, first + number).await {
            break;
        }
        if number % AT_ONCE == AT_ONCE - 1 {
            // Only a log that does not grow meanwhile is written back to its end, and then synced.
            tokio::time::sleep(REST).await;
        }
    }
    let has_ended = server.ends_within(PATIENCE).await;
    match (report.failed_ms_ago()?, has_ended) {
        (Some(after_ms), true) => {
            context.report("store_failure.failed", 1.0)?;
            context.report("store_failure.judged", 1.0)?;
            context.report("store_failure.stopped", 1.0)?;
            context.report("store_failure.stop_ms", after_ms)?;
            if after_ms > STOP_MS_MAX {
                context.object(format!("{what}: it ends only after {after_ms:.0} ms"));
            }
        }
        (Some(_), false) => {
            context.report("store_failure.went_on", 1.0)?;
            context.object(format!("{what}: it goes on"));
            server.discard().await?;
        }
        (None, _) => anyhow::bail!("{what}: nothing failed, so this proves nothing"),
    }
    context.report("store_failure.synced_again", report.synced_after()? as f64)?;
    trial::reopen(scene, &plain, &what, heard).await
}
