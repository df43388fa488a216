//! A Posthaste server under measurement.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::child::Running;
use crate::client::Client;

/// Stands on loopback and guards nothing.
pub const TOKEN: &str = "a-token-for-measurements-on-loopback";

/// A server that runs until it is dropped.
pub struct Posthaste {
    /// The process.
    pub process: Running,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start until it said that it is ready.
    pub ready_after: Duration,
}

/// How long a start may take, and how often it is looked at.
const START_MAX: Duration = Duration::from_secs(30);
const START_LOOK: Duration = Duration::from_millis(1);

/// A key may make 600 calls a minute under the standard contract, so webhooks are made with many keys.
const WEBHOOKS_PER_KEY: usize = 500;
/// Keys at work at one time.
const KEYS_AT_ONCE: usize = 16;

impl Posthaste {
    /// Starts the program at `binary` with its store in `folder`.
    pub async fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, &[]).await
    }

    /// The same with further flags.
    pub async fn start_with(binary: &Path, folder: &Path, further: &[String]) -> anyhow::Result<Self> {
        let address = free_address()?;
        let log = folder.join("server.log");
        let data: PathBuf = folder.join("data");
        let mut command = Command::new(binary);
        command
            .args(["serve", "--contract", "standard", "--allow-http", "--allow-net", "127.0.0.0/8"])
            .args(["--listen".as_ref(), address.to_string().as_ref(), "--data".as_ref(), data.as_os_str()])
            .args(further)
            .env("POSTHASTE_ADMIN_TOKEN", TOKEN)
            .current_dir(folder);
        let began = Instant::now();
        let mut process = Running::start(&mut command, &log)?;
        while began.elapsed() < START_MAX {
            if is_ready(address).await {
                return Ok(Self { process, address, ready_after: began.elapsed() });
            }
            if process.has_ended() {
                bail!("the server ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            sleep(START_LOOK).await;
        }
        bail!("the server is not ready after {START_MAX:?}; see {}", log.display())
    }

    /// A connection for the operator.
    pub async fn admin(&self) -> anyhow::Result<Client> {
        Client::connect(self.address, TOKEN).await
    }

    /// Makes an account with a webhook for each number, which points to `/w/NUMBER` at `receiver`.
    pub async fn account(&self, id: &str, webhooks: Range<u32>, receiver: &str) -> anyhow::Result<()> {
        let urls: Vec<String> = webhooks.map(|number| format!("http://{receiver}/w/{number}")).collect();
        self.account_at(id, &urls).await
    }

    /// Makes an account with a webhook at each URL.
    pub async fn account_at(&self, id: &str, urls: &[String]) -> anyhow::Result<()> {
        let mut admin = self.admin().await?;
        admin.post("/admin/v1/accounts", &json!({ "id": id })).await?;
        let mut work = JoinSet::new();
        for some in urls.chunks(WEBHOOKS_PER_KEY) {
            let key = admin.post(&format!("/admin/v1/accounts/{id}/keys"), &json!({})).await?;
            let key = key["key"].as_str().context("a new key is not shown")?.to_owned();
            work.spawn(register(self.address, key, some.to_vec()));
            if work.len() >= KEYS_AT_ONCE {
                work.join_next().await.context("nothing under way")???;
            }
        }
        while let Some(ended) = work.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn register(server: SocketAddr, key: String, urls: Vec<String>) -> anyhow::Result<()> {
    let mut customer = Client::connect(server, &key).await?;
    for url in urls {
        customer.post("/v1/webhooks", &json!({ "url": url })).await?;
    }
    Ok(())
}

async fn is_ready(address: SocketAddr) -> bool {
    match Client::connect(address, TOKEN).await {
        Ok(mut client) => client.get("/readyz").await.is_ok(),
        Err(_) => false,
    }
}

/// An address on loopback where nobody listens.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
