//! Start and memory, with nothing to do and with many webhooks.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::fan_out::{self, ACCOUNTS, FanOut};
use super::stage::{SETTLING, Setting, Stage};
use crate::posthaste::Posthaste;

/// A server with an empty store.
#[derive(Debug, Serialize)]
pub struct Empty {
    /// From the start of the process until it was ready, making its store.
    pub first_ready_ms: f64,
    /// The same with the store there.
    pub ready_ms: f64,
    /// Memory in use, two seconds later.
    pub idle_kib: u64,
}

/// A server with many webhooks.
#[derive(Debug, Serialize)]
pub struct Registered {
    /// How many.
    pub webhooks: u32,
    /// Webhooks registered in a second, over the public route.
    pub per_second: f64,
    /// Memory in use then.
    pub kib: u64,
    /// After a restart: until it was ready.
    pub ready_ms: f64,
    /// After a restart: memory in use.
    pub restarted_kib: u64,
}

const IDLE: Duration = Duration::from_secs(2);
/// Broadcasts to as many webhooks as are registered.
const DELIVERIES: u64 = 100_000;

/// Starts a server twice in the same folder.
pub async fn empty(setting: &Setting) -> anyhow::Result<Empty> {
    let folder = setting.folder()?;
    let first = Posthaste::start(&setting.binary, folder.path()).await?;
    first.process.end().await?;
    let second = Posthaste::start(&setting.binary, folder.path()).await?;
    sleep(IDLE).await;
    let idle_kib = second.process.memory_kib()?.0;
    second.process.end().await?;
    Ok(Empty { first_ready_ms: ms(first.ready_after), ready_ms: ms(second.ready_after), idle_kib })
}

/// Registers so many webhooks, restarts the server, and broadcasts to all of them.
pub async fn registered(setting: &Setting, webhooks: u32) -> anyhow::Result<(Registered, FanOut)> {
    let began = Instant::now();
    let mut stage = Stage::set(setting, ACCOUNTS, webhooks).await?;
    let per_second = f64::from(webhooks) / began.elapsed().as_secs_f64();
    sleep(SETTLING).await;
    let kib = stage.server.process.memory_kib()?.0;
    stage.server.process.end().await?;
    stage.server = Posthaste::start(&setting.binary, stage.folder.path()).await?;
    sleep(IDLE).await;
    let registered = Registered {
        webhooks,
        per_second,
        kib,
        ready_ms: ms(stage.server.ready_after),
        restarted_kib: stage.server.process.memory_kib()?.0,
    };
    let broadcasts = (DELIVERIES / u64::from(webhooks)).max(1);
    let fan_out = fan_out::on(&mut stage, webhooks, broadcasts).await?;
    stage.server.process.end().await?;
    Ok((registered, fan_out))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
