//! The way in over HTTP: one connection of a publisher to the real server over loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::ensure;
use posthaste_api::admin::{self, AdminParts, BodyLimits};
use posthaste_api::logins::Logins;
use posthaste_api::server::{ServerBounds, Site, SiteParts, serve};
use posthaste_contract::Contract;
use posthaste_core::Secret;
use posthaste_store::Store;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::outside::{SeededDice, StoppedClock};
use crate::scene::{EVENT, EVENTS_A_ROUND};
use crate::wire::read_message;

/// Stands on loopback and guards nothing.
const TOKEN: &str = "a-token-for-counting-on-loopback";

/// A publisher and its server, on a runtime of their own.
pub struct Publishing {
    runtime: Runtime,
    stream: TcpStream,
    request: String,
    answer: Vec<u8>,
    /// The server ends when this goes.
    _shutdown: watch::Sender<bool>,
}

impl Publishing {
    /// Starts a server over `store` and connects to it.
    pub fn start(contract: &Arc<Contract>, store: Arc<dyn Store>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let site = Arc::new(Site::new(parts(contract, store)));
        let (shutdown, stopping) = watch::channel(false);
        let (address, stream) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            tokio::spawn(async move { serve(listener, site, ServerBounds::default(), &[], stopping).await });
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            anyhow::Ok((address, stream))
        })?;
        Ok(Self { runtime, stream, request: request(address), answer: Vec::new(), _shutdown: shutdown })
    }

    /// Publishes a round of events, a request each.
    pub fn round(&mut self) -> anyhow::Result<()> {
        let Self { runtime, stream, request, answer, .. } = self;
        runtime.block_on(async {
            for _ in 0..EVENTS_A_ROUND {
                stream.write_all(request.as_bytes()).await?;
                ensure!(read_message(stream, answer).await?, "the server closed the connection");
                let told = String::from_utf8_lossy(answer);
                ensure!(told.starts_with("HTTP/1.1 202 "), "an event was refused: {told}");
            }
            Ok(())
        })
    }
}

fn parts(contract: &Arc<Contract>, store: Arc<dyn Store>) -> SiteParts {
    let admin = admin::router(AdminParts {
        contract: contract.clone(),
        store,
        clock: Arc::new(StoppedClock),
        dice: Arc::new(SeededDice::default()),
        token: Secret::from(TOKEN.to_owned()),
        limits: BodyLimits::default(),
        logins: Arc::new(Logins::new(20, &SeededDice::default())),
    });
    SiteParts { public: None, docs: None, admin: Some(admin), readiness: Arc::new(|| Ok(())), metrics: None }
}

fn request(server: SocketAddr) -> String {
    format!(
        "POST /admin/v1/events HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{EVENT}",
        EVENT.len(),
    )
}
