//! The receiver: answers at once and counts. What it costs limits what can be measured beside it, so it is plain.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_rustls::TlsAcceptor;

use crate::clock;
use crate::histogram::{Histogram, Summary};
use crate::request::{REQUEST_MAX_BYTES, first, number_after};

/// How to receive.
#[derive(Args)]
pub struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Speak TLS, with a certificate made on the spot for `--name`.
    #[arg(long)]
    tls: bool,
    /// The host name or address the certificate is for.
    #[arg(long, default_value = "localhost")]
    name: String,
    /// Write the certificate here (PEM), for the sender to trust.
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// The status to answer with.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// The whole number in the body, by its key, that says when the event was made: microseconds since 1970.
    #[arg(long, value_name = "KEY", default_value = "sent_us")]
    time_key: String,
    /// Print the counts each second.
    #[arg(long)]
    each_second: bool,
    /// End by itself after so many seconds; otherwise on SIGINT or SIGTERM.
    #[arg(long)]
    seconds: Option<u64>,
}

struct Counts {
    requests: AtomicU64,
    body_bytes: AtomicU64,
    connections: AtomicU64,
    age: Mutex<Histogram>,
}

#[derive(Serialize)]
struct Second {
    second: u64,
    requests: u64,
}

#[derive(Serialize)]
struct Report {
    requests: u64,
    connections: u64,
    body_bytes: u64,
    seconds: f64,
    cpu_us: i64,
    /// From the time in the body to its arrival here.
    age: Summary,
}

/// Receives until told to end, then prints what was received.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen).await.context("cannot listen")?;
    let tls = if options.tls { Some(certificate(&options)?) } else { None };
    let counts = Arc::new(Counts {
        requests: AtomicU64::new(0),
        body_bytes: AtomicU64::new(0),
        connections: AtomicU64::new(0),
        age: Mutex::new(Histogram::new()),
    });
    eprintln!("listening on {}", listener.local_addr()?);
    let began = Instant::now();
    tokio::select! {
        accepted = accept(listener, tls, &options, &counts) => accepted?,
        told = print_each_second(&counts), if options.each_second => told?,
        ended = end(options.seconds) => ended?,
    }
    let report = Report {
        requests: counts.requests.load(Ordering::Relaxed),
        connections: counts.connections.load(Ordering::Relaxed),
        body_bytes: counts.body_bytes.load(Ordering::Relaxed),
        seconds: began.elapsed().as_secs_f64(),
        cpu_us: clock::cpu_us(),
        age: counts.age.lock().unwrap_or_else(PoisonError::into_inner).summary(),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn end(seconds: Option<u64>) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        () = sleep(Duration::from_secs(seconds.unwrap_or_default())), if seconds.is_some() => {}
    }
    Ok(())
}

async fn print_each_second(counts: &Counts) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = 0;
    for second in 1.. {
        ticks.tick().await;
        let now = counts.requests.load(Ordering::Relaxed);
        println!("{}", serde_json::to_string(&Second { second, requests: now - before })?);
        before = now;
    }
    Ok(())
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    options: &Options,
    counts: &Arc<Counts>,
) -> anyhow::Result<()> {
    let status = options.status;
    let answer: Arc<[u8]> = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes().into();
    let needle: Arc<str> = format!("\"{}\":", options.time_key).into();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        counts.connections.fetch_add(1, Ordering::Relaxed);
        let (tls, counts) = (tls.clone(), counts.clone());
        let (answer, needle) = (answer.clone(), needle.clone());
        tokio::spawn(async move {
            // A connection that breaks is the sender's to report.
            let _ = serve(stream, tls, &answer, &needle, &counts).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    answer: &[u8],
    needle: &str,
    counts: &Counts,
) -> std::io::Result<()> {
    match tls {
        Some(tls) => answer_all(tls.accept(stream).await?, answer, needle, counts).await,
        None => answer_all(stream, answer, needle, counts).await,
    }
}

async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: &[u8],
    needle: &str,
    counts: &Counts,
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    while stream.read_buf(&mut buffer).await? > 0 && buffer.len() <= REQUEST_MAX_BYTES {
        let mut taken = 0;
        while let Some(request) = first(&buffer[taken..]) {
            counts.add(&buffer[taken..][request.body.clone()], needle);
            stream.write_all(answer).await?;
            if request.is_last {
                return stream.shutdown().await;
            }
            taken += request.body.end;
        }
        stream.flush().await?;
        buffer.drain(..taken);
    }
    Ok(())
}

impl Counts {
    fn add(&self, body: &[u8], needle: &str) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        if let Some(made_us) = number_after(body, needle) {
            let age_us = u64::try_from(clock::unix_us() - made_us).unwrap_or(0);
            self.age.lock().unwrap_or_else(PoisonError::into_inner).add(age_us);
        }
    }
}

fn certificate(options: &Options) -> anyhow::Result<TlsAcceptor> {
    let mut names = vec![options.name.clone()];
    if !options.listen.ip().is_unspecified() && options.name.parse::<IpAddr>().is_err() {
        names.push(options.listen.ip().to_string());
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    if let Some(path) = &options.ca_out {
        std::fs::write(path, made.cert.pem()).context("cannot write the certificate")?;
    }
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| anyhow::anyhow!("the key cannot be used: {error}"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
