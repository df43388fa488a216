//! The sender: what signing and sending costs when there is nothing else to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use posthaste_net::{
    Dialler, Guard, GuardPolicy, Host, HttpTransport, Outgoing, PoolLimits, Resolver, Target, Tls, Transport,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock;
use crate::pace::Pace;
use crate::payload::filled;

/// How to send.
#[derive(Args)]
pub struct Options {
    /// Where to send to: an http URL (with an address as host for the bare client).
    #[arg(long)]
    target: String,
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

const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends for the given time, then prints what came of it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let nets = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
    let nets: Vec<IpNet> = nets.iter().map(|net| net.parse()).collect::<Result<_, _>>()?;
    let guard = Arc::new(Guard::new(GuardPolicy::new(nets)?.allowing_http(true)));
    let target = Arc::new(guard.check_url(&options.target)?);
    let dialler = Dialler::new(guard, Resolver::system(Vec::new())?, Tls::new(None)?);
    let transport =
        Arc::new(HttpTransport::new(Arc::new(dialler), PoolLimits { per_origin: 4096, in_all: 4096 }));

    let tally = Arc::new(Tally::default());
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let (began, cpu_before_us) = (Instant::now(), clock::cpu_us());
    let mut senders = JoinSet::new();
    for number in 0..options.connections {
        let job = Job {
            number,
            connections: options.connections,
            body_bytes: options.body_bytes,
            pace: Pace::new(options.per_second, options.connections, number, began),
            target: target.clone(),
            tally: tally.clone(),
            until,
        };
        match options.client {
            Client::Bare => senders.spawn(send_bare(job)),
            Client::Posthaste => senders.spawn(send_through(transport.clone(), job)),
        };
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

/// What one connection has to do.
struct Job {
    number: u32,
    connections: u32,
    body_bytes: usize,
    pace: Pace,
    target: Arc<Target>,
    tally: Arc<Tally>,
    until: Instant,
}

impl Job {
    /// The body and headers of one request, signed anew.
    fn signed(&self, key: &hmac::Key, count: u64) -> (Bytes, [(&'static str, String); 5]) {
        let now_us = clock::unix_us();
        let body = filled(
            now_us,
            (count - 1) * u64::from(self.connections) + u64::from(self.number),
            self.body_bytes,
        );
        let id = format!("msg_{:08x}{count:016x}", self.number);
        let timestamp = (now_us / 1_000_000).to_string();
        let mut context = hmac::Context::with_key(key);
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
        (Bytes::from(body), headers)
    }

    /// Waits for the turn, and says whether there is time left.
    async fn may_send(&self, count: u64) -> bool {
        self.pace.turn(count).await;
        Instant::now() < self.until
    }

    fn count(&self, is_answered: bool) {
        let counter = if is_answered { &self.tally.answered } else { &self.tally.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn signing_key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"a key of thirty-two bytes length")
}

async fn send_through(transport: Arc<HttpTransport>, job: Job) -> anyhow::Result<()> {
    let key = signing_key();
    let mut count = 0;
    loop {
        count += 1;
        if !job.may_send(count).await {
            break;
        }
        let (body, headers) = job.signed(&key, count);
        let request = Outgoing {
            partition: 1,
            target: job.target.clone(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body,
            timeout: TIMEOUT,
        };
        let sent = transport.send(request).await;
        job.count(sent.outcome.status() == Some(200));
    }
    Ok(())
}

async fn send_bare(job: Job) -> anyhow::Result<()> {
    let key = signing_key();
    let mut sender = connect(&job.target).await?;
    let mut count = 0;
    loop {
        count += 1;
        if !job.may_send(count).await {
            break;
        }
        let (body, headers) = job.signed(&key, count);
        let mut request = Request::post(job.target.path_and_query()).header(header::HOST, "localhost");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        sender.ready().await?;
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        response.into_body().collect().await?;
        job.count(status == 200);
    }
    Ok(())
}

async fn connect(target: &Target) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let Host::Ip(ip) = target.host() else { bail!("the bare client takes an address, not a name") };
    let stream = TcpStream::connect((*ip, target.port())).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender)
}
