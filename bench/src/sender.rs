//! The sender: what signing and sending costs when there is nothing else to do.

mod line;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock;
use crate::pace::Pace;
use crate::payload::filled;
use line::{Line, Ways};

/// How to send.
#[derive(Args)]
pub struct Options {
    /// Where to send to: a URL. `{}` in it stands for the number of the connection.
    #[arg(long)]
    target: String,
    /// Connect there, whatever the URL's host is. Without it the bare client takes addresses only.
    #[arg(long, value_name = "ADDR:PORT")]
    connect: Option<SocketAddr>,
    /// Whom to trust in TLS (PEM).
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// For how long.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The length of each body.
    #[arg(long, default_value_t = 300)]
    body_bytes: usize,
    /// At most so many requests a second, evenly spread; otherwise as fast as they are answered.
    #[arg(long)]
    per_second: Option<u64>,
    /// What sends.
    #[arg(long, value_enum, default_value_t = Client::Bare)]
    client: Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    /// hyper's connections and nothing else.
    Bare,
    /// Posthaste's transport: guard, pool, deadline, bounds.
    Posthaste,
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// What sent.
    pub client: Client,
    /// Connections.
    pub connections: u32,
    /// Requests answered with 200.
    pub answered: u64,
    /// All others.
    pub failed: u64,
    /// How long it took.
    pub seconds: f64,
    /// Requests answered in a second.
    pub per_second: f64,
    /// The sender's own processor time for each.
    pub cpu_us_per_request: f64,
}

/// Connects, sends one request on each connection before the time begins, sends for the given time, and prints what
/// came of it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let ready = ready(&options).await?;
    let tally = Arc::new(Tally::default());
    let (began, cpu_before_us) = (Instant::now(), clock::cpu_us());
    let until = began + Duration::from_secs(options.seconds);
    let mut senders = JoinSet::new();
    for sender in ready {
        let pace = Pace::new(options.per_second, options.connections, sender.number, began);
        senders.spawn(sender.run(pace, until, tally.clone()));
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    let answered = tally.answered.load(Ordering::Relaxed);
    let seconds = began.elapsed().as_secs_f64();
    let cpu_us = (clock::cpu_us() - cpu_before_us) as f64;
    let report = Report {
        client: options.client,
        connections: options.connections,
        answered,
        failed: tally.failed.load(Ordering::Relaxed),
        seconds,
        per_second: answered as f64 / seconds,
        cpu_us_per_request: cpu_us / answered.max(1) as f64,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// What is sent before the time begins: nothing that the sink would count a time or a number of.
const WARM_UP: &str = "{}";

/// All connections, with one request answered on each.
async fn ready(options: &Options) -> anyhow::Result<Vec<Sender>> {
    let ways = Arc::new(Ways::new(options)?);
    let mut work = JoinSet::new();
    for number in 0..options.connections {
        let url = options.target.replace("{}", &number.to_string());
        let (ways, connections, body_bytes) = (ways.clone(), options.connections, options.body_bytes);
        work.spawn(async move {
            let line = ways.to(&url).await?;
            let mut sender = Sender { number, connections, body_bytes, line, key: signing_key() };
            let first = sender.send(0, WARM_UP.to_owned()).await?;
            ensure!(first, "connection {number}: the first request failed");
            anyhow::Ok(sender)
        });
    }
    let mut ready = Vec::with_capacity(options.connections as usize);
    while let Some(ended) = work.join_next().await {
        ready.push(ended??);
    }
    Ok(ready)
}

/// One connection.
struct Sender {
    number: u32,
    connections: u32,
    body_bytes: usize,
    line: Line,
    key: hmac::Key,
}

impl Sender {
    async fn run(mut self, pace: Pace, until: Instant, tally: Arc<Tally>) -> anyhow::Result<()> {
        for count in 1.. {
            pace.turn(count).await;
            if Instant::now() >= until {
                break;
            }
            let number = (count - 1) * u64::from(self.connections) + u64::from(self.number);
            let is_answered = self.send(count, filled(clock::unix_us(), number, self.body_bytes)).await?;
            let counter = if is_answered { &tally.answered } else { &tally.failed };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Signs a body anew and sends it.
    async fn send(&mut self, count: u64, body: String) -> anyhow::Result<bool> {
        let id = format!("msg_{:08x}{count:016x}", self.number);
        let timestamp = (clock::unix_us() / 1_000_000).to_string();
        let mut context = hmac::Context::with_key(&self.key);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body.as_bytes()] {
            context.update(part);
        }
        let signature = format!("v1,{}", STANDARD.encode(context.sign()));
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", "Posthaste-Bench/1".to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ];
        self.line.post(headers, Bytes::from(body)).await
    }
}

fn signing_key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"a key of thirty-two bytes length")
}
