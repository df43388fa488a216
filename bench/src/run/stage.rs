//! A server with an empty store, and a sink that its webhooks point to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::child::{Running, listener};
use crate::client::Client;
use crate::posthaste::Posthaste;
use crate::sink::Counts;

/// What every stage is made of.
pub struct Setting {
    /// The server's program.
    pub binary: PathBuf,
    /// Where stores are made.
    pub parent: PathBuf,
}

impl Setting {
    /// A folder that is removed when it is dropped.
    pub fn folder(&self) -> anyhow::Result<TempDir> {
        tempfile::Builder::new().prefix("posthaste-bench-").tempdir_in(&self.parent).context("no folder")
    }
}

/// A sink that runs until it is dropped.
pub struct Sink {
    /// Where it listens.
    pub address: String,
    client: Client,
    process: Running,
}

const ANYWHERE: &str = "127.0.0.1:0";
/// How often the sink is asked whether all has arrived.
const LOOK: Duration = Duration::from_millis(20);
/// Deliveries that come later than so long after the one before do not come; the server looks around twice a minute.
const QUIET_MAX: Duration = Duration::from_secs(45);
const ARRIVAL_MAX: Duration = Duration::from_secs(300);

impl Sink {
    /// Starts one that tells so many webhooks apart.
    pub async fn start(paths: u32) -> anyhow::Result<Self> {
        Self::start_with(ANYWHERE, paths, &[]).await
    }

    /// One that tells one webhook from others, at the same address, that has received nothing.
    pub async fn again(self) -> anyhow::Result<Self> {
        self.process.end().await?;
        Self::start_with(&self.address, 1, &[]).await
    }

    /// Starts one that listens for TLS too, at `tls`, as every host right below `domain`.
    pub async fn start_tls(paths: u32, tls: SocketAddr, domain: &str, ca_out: &Path) -> anyhow::Result<Self> {
        let (tls, names) = (tls.to_string(), format!("*.{domain}"));
        let ca_out = ca_out.to_str().context("the path of the certificate is no text")?;
        Self::start_with(ANYWHERE, paths, &["--tls-listen", &tls, "--name", &names, "--ca-out", ca_out]).await
    }

    async fn start_with(listen: &str, paths: u32, further: &[&str]) -> anyhow::Result<Self> {
        let paths = paths.to_string();
        let args = ["sink", "--listen", listen, "--paths", &paths];
        let (process, address) = listener(&[&args[..], further].concat()).await?;
        let client = Client::connect(address.parse::<SocketAddr>()?, "none").await?;
        Ok(Self { address, client, process })
    }

    /// What has arrived so far.
    pub async fn counts(&mut self) -> anyhow::Result<Counts> {
        serde_json::from_value(self.client.get("/").await?).context("the counts cannot be read")
    }

    /// Waits until so many different deliveries arrived, or no more come.
    pub async fn await_distinct(&mut self, wanted: u64) -> anyhow::Result<Counts> {
        let began = Instant::now();
        let (mut most, mut grown) = (0, began);
        loop {
            let counts = self.counts().await?;
            if counts.distinct > most {
                (most, grown) = (counts.distinct, Instant::now());
            }
            if most >= wanted || grown.elapsed() > QUIET_MAX || began.elapsed() > ARRIVAL_MAX {
                return Ok(counts);
            }
            sleep(LOOK).await;
        }
    }
}

/// Server and sink.
pub struct Stage {
    /// The server.
    pub server: Posthaste,
    /// The sink.
    pub sink: Sink,
    /// Where the store is.
    pub folder: TempDir,
}

impl Stage {
    /// Starts both, with `accounts` accounts that have `webhooks` between them.
    pub async fn set(setting: &Setting, accounts: u32, webhooks: u32) -> anyhow::Result<Self> {
        let folder = setting.folder()?;
        let sink = Sink::start(webhooks).await?;
        let server = Posthaste::start(&setting.binary, folder.path()).await?;
        let each = webhooks / accounts;
        for account in 0..accounts {
            let numbers = account * each..(account + 1) * each;
            server.account(&format!("bench{account}"), numbers, &sink.address).await?;
        }
        Ok(Self { server, sink, folder })
    }
}

/// The account of a stage that has only one.
pub const ACCOUNT: &str = "bench0";
/// Deliveries are recorded after they have arrived; so long is waited for that.
pub const SETTLING: Duration = Duration::from_millis(300);
