//! The receiver: answers at once and counts. What it costs limits what can be measured beside it, so it is plain.

mod tally;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_rustls::TlsAcceptor;

use crate::certificate::Identity;
use crate::request::{MESSAGE_MAX_BYTES, first, is_get, number_in_path};
pub use tally::Counts;
use tally::Tally;

/// How to receive.
#[derive(Args)]
pub struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Listen there too, and speak TLS, with a certificate made on the spot for `--name`.
    #[arg(long, value_name = "ADDR:PORT")]
    tls_listen: Option<SocketAddr>,
    /// The host names or addresses the certificate is for; `*.` stands for all names right below one.
    #[arg(long, default_value = "localhost")]
    name: Vec<String>,
    /// Write the certificate of the authority here (PEM), for the sender to trust.
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// The status to answer with.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// How many webhooks are told apart by the number at the end of their path.
    #[arg(long, default_value_t = 1)]
    paths: u64,
    /// Print the counts each second.
    #[arg(long)]
    each_second: bool,
    /// End by itself after so many seconds; otherwise on SIGINT or SIGTERM.
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Serialize)]
struct Second {
    second: u64,
    requests: u64,
}

type Shared = Arc<Mutex<Tally>>;

/// Receives until told to end, then prints what was received.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen).await.context("cannot listen")?;
    let tls = tls(&options).await?;
    let tally: Shared = Arc::new(Mutex::new(Tally::new(options.paths)));
    eprintln!("listening on {}", listener.local_addr()?);
    tokio::select! {
        accepted = accept(listener, None, options.status, &tally) => accepted?,
        accepted = accept_tls(tls, options.status, &tally) => accepted?,
        told = print_each_second(&tally), if options.each_second => told?,
        ended = end(options.seconds) => ended?,
    }
    println!("{}", serde_json::to_string(&lock(&tally).counts())?);
    Ok(())
}

fn lock(tally: &Shared) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn print_each_second(tally: &Shared) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = 0;
    for second in 1.. {
        ticks.tick().await;
        let now = lock(tally).requests();
        println!("{}", serde_json::to_string(&Second { second, requests: now - before })?);
        before = now;
    }
    Ok(())
}

async fn accept_tls(
    tls: Option<(TcpListener, TlsAcceptor)>,
    status: u16,
    tally: &Shared,
) -> anyhow::Result<()> {
    match tls {
        Some((listener, acceptor)) => accept(listener, Some(acceptor), status, tally).await,
        None => std::future::pending().await,
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    status: u16,
    tally: &Shared,
) -> anyhow::Result<()> {
    let answer: Arc<[u8]> = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes().into();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, tally, answer) = (tls.clone(), tally.clone(), answer.clone());
        tokio::spawn(async move {
            // A connection that breaks is the sender's to report.
            let _ = serve(stream, tls, &answer, &tally).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    answer: &[u8],
    tally: &Shared,
) -> std::io::Result<()> {
    lock(tally).connected();
    match tls {
        Some(tls) => answer_all(tls.accept(stream).await?, answer, tally).await,
        None => answer_all(stream, answer, tally).await,
    }
}

/// How much is read at once at first; a longer message makes room for itself.
const READ_BYTES: usize = 4096;

/// Counts deliveries. A `GET` is answered with the counts. Whatever came in one read is answered in one write.
async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: &[u8],
    tally: &Shared,
) -> std::io::Result<()> {
    let (mut received, mut answers) = (Vec::with_capacity(READ_BYTES), Vec::new());
    let mut is_last = false;
    while !is_last && received.len() <= MESSAGE_MAX_BYTES && stream.read_buf(&mut received).await? > 0 {
        let mut taken = 0;
        while let Some(request) = first(&received[taken..])? {
            let bytes = &received[taken..];
            if is_get(bytes) {
                answers.extend_from_slice(told(tally).as_bytes());
            } else {
                lock(tally).add(number_in_path(bytes), &bytes[request.body.clone()]);
                answers.extend_from_slice(answer);
            }
            taken += request.body.end;
            is_last = request.is_last;
            if is_last {
                break;
            }
        }
        received.drain(..taken);
        stream.write_all(&answers).await?;
        stream.flush().await?;
        answers.clear();
    }
    stream.shutdown().await
}

fn told(tally: &Shared) -> String {
    let body = serde_json::to_string(&lock(tally).counts()).unwrap_or_default();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The listener for TLS, if there is to be one, and what it shows.
async fn tls(options: &Options) -> anyhow::Result<Option<(TcpListener, TlsAcceptor)>> {
    let Some(address) = options.tls_listen else { return Ok(None) };
    let identity = Identity::for_names(&options.name)?;
    if let Some(path) = &options.ca_out {
        std::fs::write(path, identity.authority_pem).context("cannot write the certificate")?;
    }
    let listener = TcpListener::bind(address).await.context("cannot listen for TLS")?;
    Ok(Some((listener, identity.acceptor)))
}
