//! Everything measured on one machine in one run, each number beside the bare sender's.

mod fan_out;
mod filling;
mod growth;
mod isolation;
mod latency;
mod load;
mod log_page;
mod memory;
mod pending;
mod results;
mod retention;
mod stage;
mod table;
mod tls;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use crate::child::report_of;
use crate::sender;
use results::{Machine, Results};
use stage::{Setting, Sink};

/// What to measure, and how long.
#[derive(Args)]
pub struct Options {
    /// How long events are published, for each of the two ways.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Write the results to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The server's program; otherwise `posthaste` beside this one.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Where the stores are made; otherwise the system's folder for temporary files. They are removed afterwards.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Measure these parts only (repeatable).
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Measure with 100,000 webhooks as well, and with 10,000,000 stored attempts.
    #[arg(long)]
    long: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One event in each publish request.
    Events,
    /// A hundred events in each publish request.
    Batch,
    /// From publishing to arrival, at 100 events a second.
    Latency,
    /// Broadcasts to many webhooks.
    FanOut,
    /// Start and memory.
    Memory,
    /// Broadcasts over TLS to 1,000 hosts.
    Tls,
    /// A webhook that does well beside 1,000 that do not.
    Isolation,
    /// An account beside one that floods.
    Flood,
    /// Start and memory with a million pending deliveries.
    Pending,
    /// The first page of a million deliveries.
    LogPage,
    /// Beside the deletion of what expired.
    Retention,
    /// Processor time with millions of stored attempts.
    Growth,
}

/// Events in a batch request.
const BATCH: u32 = 100;
/// How long the bare sender sends each time; its median counts.
const BARE_SECONDS: u64 = 3;
const LATENCY_SECONDS: u64 = 15;
const MILLION: u64 = 1_000_000;
/// As long as the bodies that the standard contract makes of the events.
const BARE_BODY_BYTES: u32 = 410;

/// Measures, and prints and writes what came of it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let setting = setting(&options)?;
    let wants = |part| options.only.is_empty() || options.only.contains(&part);
    let mut results = Results { machine: Machine::look(), ..Results::default() };
    if wants(Part::Memory) {
        progress("memory and start, empty");
        results.empty = Some(memory::empty(&setting).await?);
    }
    results.bare.push(bare(None, BARE_SECONDS).await?.0);
    if wants(Part::Events) {
        progress("one event in each request");
        results.events = Some(load::measure(&setting, 1, options.seconds).await?);
        results.bare.push(bare(None, BARE_SECONDS).await?.0);
    }
    if wants(Part::Batch) {
        progress("a hundred events in each request");
        results.batch = Some(load::measure(&setting, BATCH, options.seconds).await?);
        results.bare.push(bare(None, BARE_SECONDS).await?.0);
    }
    if wants(Part::Latency) {
        progress("100 events a second");
        results.latency = Some(latency::measure(&setting, LATENCY_SECONDS).await?);
    }
    if wants(Part::FanOut) {
        progress("broadcasts to 1,000 webhooks");
        results.fan_out.push(fan_out::measure(&setting, 1_000, 50).await?);
        results.bare.push(bare(None, BARE_SECONDS).await?.0);
    }
    for webhooks in [10_000, 100_000].into_iter().take(if options.long { 2 } else { 1 }) {
        if wants(Part::Memory) {
            progress(&format!("{webhooks} webhooks"));
            let (registered, fan_out) = memory::registered(&setting, webhooks).await?;
            results.registered.push(registered);
            results.fan_out.push(fan_out);
        }
    }
    if wants(Part::Tls) {
        progress("TLS to 1,000 hosts");
        results.tls = Some(tls::measure(&setting).await?);
    }
    if wants(Part::Isolation) {
        results.isolation = isolation::beside_receivers(&setting).await?;
    }
    if wants(Part::Flood) {
        results.flood = Some(isolation::beside_floods(&setting).await?);
    }
    if wants(Part::Pending) {
        progress("a million pending deliveries");
        results.pending = pending::measure(&setting, MILLION).await?;
    }
    if wants(Part::LogPage) {
        progress("the log of a million deliveries");
        results.log = log_page::measure(&setting, MILLION).await?;
    }
    if wants(Part::Retention) {
        progress("beside retention");
        results.retention = Some(retention::measure(&setting, MILLION, options.seconds).await?);
    }
    for attempts in [MILLION, 10 * MILLION].into_iter().take(if options.long { 2 } else { 1 }) {
        if wants(Part::Growth) {
            progress(&format!("{attempts} stored attempts"));
            results.growth.push(growth::measure(&setting, attempts, options.seconds).await?);
        }
    }
    results.conclude();
    print!("{}", table::of(&results));
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&results)?).context("cannot write the results")?;
    }
    ensure!(results.lost() == 0, "events were lost");
    Ok(())
}

fn setting(options: &Options) -> anyhow::Result<Setting> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe()?.with_file_name("posthaste"),
    };
    let binary = binary.canonicalize().with_context(|| format!("no program at {}", binary.display()))?;
    let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    Ok(Setting { binary, parent })
}

fn progress(what: &str) {
    eprintln!("measuring: {what}");
}

/// The bare sender for some seconds, as fast as it can or so often a second, and what the sink says.
async fn bare(
    per_second: Option<u64>,
    seconds: u64,
) -> anyhow::Result<(sender::Report, crate::sink::Counts)> {
    let mut sink = Sink::start(1).await?;
    let target = format!("http://{}/w/0", sink.address);
    let (length, time) = (BARE_BODY_BYTES.to_string(), seconds.to_string());
    let mut args = vec!["sender", "--target", &target, "--body-bytes", &length, "--seconds", &time];
    let rate = per_second.map(|rate| rate.to_string());
    if let Some(rate) = &rate {
        args.extend(["--per-second", rate]);
    }
    let report = report_of(&args, Duration::from_secs(seconds + 30)).await?;
    Ok((report, sink.counts().await?))
}
