//! Broadcasts over TLS to many hosts, on connections that are there already, beside a bare sender with as many.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::BARE_BODY_BYTES;
use super::fan_out::{self, ACCOUNTS, FanOut};
use super::results::median;
use super::stage::{SETTLING, Setting, Sink, Stage};
use crate::child::report_of;
use crate::posthaste::{Posthaste, free_address};
use crate::sender;

/// What came of it.
#[derive(Debug, Serialize)]
pub struct TlsHosts {
    /// Hosts, with one webhook each.
    pub hosts: u32,
    /// Connections opened while each host got its first deliveries, before the measurement.
    pub warm_up_connections: u64,
    /// Connections opened in the measurement: what was not reused.
    pub connections: u64,
    /// The broadcasts.
    pub fan_out: FanOut,
    /// The bare sender with a connection to each host, before and after; the median counts.
    pub bare: Vec<sender::Report>,
    /// Posthaste's transport with nothing around it, with as many connections.
    pub transport: sender::Report,
}

impl TlsHosts {
    /// Processor time of the bare sender for each request.
    pub fn bare_cpu_us(&self) -> f64 {
        median(self.bare.iter().map(|report| report.cpu_us_per_request))
    }

    /// How many times the bare sender's processor time a delivery takes.
    pub fn ratio(&self) -> f64 {
        self.fan_out.cpu_us_per_delivery / self.bare_cpu_us()
    }
}

const HOSTS: u32 = 1_000;
/// The hosts are `h0.bench.example` and so on.
const DOMAIN: &str = "bench.example";
/// Broadcasts before the measurement, as close upon each other as those in it: connections are made for as many
/// attempts as are under way to a host at one time.
const WARM_UPS: u64 = 20;
const WARM_UP_MAX: Duration = Duration::from_secs(60);
const BROADCASTS: u64 = 100;
const BARE_SECONDS: u64 = 3;
const LOOK: Duration = Duration::from_millis(20);

/// Measures the bare sender, the transport, the server, and the bare sender again.
pub async fn measure(setting: &Setting) -> anyhow::Result<TlsHosts> {
    let first = sent("bare").await?;
    let transport = sent("posthaste").await?;
    let (mut stage, warm_up_connections) = warm_stage(setting).await?;
    let before = stage.sink.counts().await?.connections;
    let fan_out = fan_out::on(&mut stage, HOSTS, BROADCASTS).await?;
    let connections = stage.sink.counts().await?.connections - before;
    stage.server.process.end().await?;
    let bare = vec![first, sent("bare").await?];
    Ok(TlsHosts { hosts: HOSTS, warm_up_connections, connections, fan_out, bare, transport })
}

/// The sender's tool with one connection to each host.
async fn sent(client: &str) -> anyhow::Result<sender::Report> {
    let folder = TempDir::new()?;
    let (tls, authority) = (free_address()?, folder.path().join("authority.pem"));
    let _sink = Sink::start_tls(HOSTS, tls, DOMAIN, &authority).await?;
    let (target, connect) = (url(tls, "{}"), tls.to_string());
    let (hosts, length, time) = (HOSTS.to_string(), BARE_BODY_BYTES.to_string(), BARE_SECONDS.to_string());
    let args = ["sender", "--client", client, "--target", &target, "--connect", &connect, "--ca-file"];
    let args = [&args[..], &[text(&authority)?, "--connections", &hosts, "--body-bytes", &length]].concat();
    let args = [&args[..], &["--seconds", &time]].concat();
    report_of(&args, Duration::from_secs(BARE_SECONDS + 60)).await
}

/// A server whose webhooks all have had deliveries over TLS, and how many connections that took.
async fn warm_stage(setting: &Setting) -> anyhow::Result<(Stage, u64)> {
    let folder = setting.folder()?;
    let (tls, authority) = (free_address()?, folder.path().join("authority.pem"));
    let mut sink = Sink::start_tls(HOSTS, tls, DOMAIN, &authority).await?;
    let elsewhere = format!(":{}:{tls}", tls.port());
    let flags = ["--ca-file", text(&authority)?, "--connect-to", &elsewhere].map(str::to_owned);
    let server = Posthaste::start_with(&setting.binary, folder.path(), &flags).await?;
    let each = HOSTS / ACCOUNTS;
    for account in 0..ACCOUNTS {
        let numbers = account * each..(account + 1) * each;
        let urls: Vec<String> = numbers.map(|number| url(tls, &number.to_string())).collect();
        server.account_at(&format!("bench{account}"), &urls).await?;
    }
    let before = sink.counts().await?.connections;
    let mut admin = server.admin().await?;
    for _ in 0..WARM_UPS {
        let event = json!({ "type": "bench.warm_up", "broadcast": true, "data": {} });
        admin.post("/admin/v1/events", &event).await?;
    }
    await_requests(&mut sink, WARM_UPS * u64::from(HOSTS)).await?;
    let warm_up_connections = sink.counts().await?.connections - before;
    Ok((Stage { server, sink, folder }, warm_up_connections))
}

async fn await_requests(sink: &mut Sink, wanted: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    while sink.counts().await?.requests < wanted {
        ensure!(began.elapsed() < WARM_UP_MAX, "not every host gets its deliveries");
        sleep(LOOK).await;
    }
    // Answers are on their way back, and connections on theirs to the pool.
    sleep(SETTLING).await;
    Ok(())
}

fn url(tls: SocketAddr, number: &str) -> String {
    format!("https://h{number}.{DOMAIN}:{}/w/{number}", tls.port())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path is no text")
}
