//! What the tests are made of: scripted receivers, a name server, a certificate authority, and a transport.

mod authority;
mod places;
mod proxy;
mod receiver;
mod rows;
mod timely;
mod tls_rows;
pub mod zone;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthaste_core::{FaultKind, Outcome, Response};
use posthaste_net::{
    ConnectTo, Dialler, Guard, GuardPolicy, HttpTransport, Outgoing, PoolLimits, Resolver, Sent, Tls,
    Transport,
};

pub use authority::{Authority, self_signed};
pub use places::{Filtered, closed};
pub use proxy::{ConnectProxy, Manner};
pub use receiver::{OK, Receiver, Step, answering};
pub use rows::{Row, rows};
pub use timely::{BEYOND, TRIES, in_time};
pub use tls_rows::{HOST, TlsRow, tls_rows, trusted};

pub const TIMEOUT: Duration = Duration::from_millis(400);

/// A sender with everything it needs.
pub struct Rig {
    pub guard: Arc<Guard>,
    pub dialler: Arc<Dialler>,
    pub transport: HttpTransport,
}

/// What a rig may be told.
#[derive(Default)]
pub struct Setup<'a> {
    pub allow: &'a [&'a str],
    pub name_server: Option<SocketAddr>,
    pub connect_to: &'a [String],
    pub roots: Option<String>,
    pub proxy: Option<String>,
}

pub fn policy(allow: &[&str]) -> GuardPolicy {
    let nets = allow.iter().map(|net| net.parse().unwrap()).collect();
    GuardPolicy::new(nets).unwrap().allowing_http(true)
}

impl Rig {
    /// A sender that may reach this host.
    pub fn local() -> Self {
        Self::new(Setup { allow: &["127.0.0.0/8"], ..Setup::default() })
    }

    pub fn new(setup: Setup<'_>) -> Self {
        // A port nobody answers on: a test that needs names says so.
        let server = setup.name_server.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9)));
        let connect_to = setup.connect_to.iter().map(|entry| entry.parse::<ConnectTo>().unwrap()).collect();
        let resolver = Resolver::with_name_servers(&[server], connect_to).unwrap();
        let tls = Tls::new(setup.roots.as_deref().map(str::as_bytes)).unwrap();
        let proxy = setup.proxy.map(|text| text.parse().expect("a proxy"));
        let guard = Arc::new(Guard::new(policy(setup.allow)));
        let dialler = Arc::new(Dialler::new(guard.clone(), resolver, tls).through(proxy));
        let transport = HttpTransport::new(dialler.clone(), PoolLimits::default());
        Self { guard, dialler, transport }
    }

    pub async fn send(&self, url: &str) -> Sent {
        self.send_as(1, url).await
    }

    pub async fn send_as(&self, partition: i64, url: &str) -> Sent {
        self.transport.send(self.request(partition, url)).await
    }

    pub fn request(&self, partition: i64, url: &str) -> Outgoing {
        let headers = [("content-type", "application/json"), ("user-agent", "Test/1"), ("x-sig-v1", "abc")];
        Outgoing {
            partition,
            target: Arc::new(self.guard.check_url(url).unwrap()),
            headers: headers.into_iter().collect(),
            body: Bytes::from_static(b"{\"a\":1}"),
            timeout: TIMEOUT,
        }
    }
}

/// An outcome in one line.
pub fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(Response { status, body, is_cut, .. }) => {
            let cut = if *is_cut { " cut" } else { "" };
            format!("{status} {}B{cut}", body.len())
        }
        Outcome::Failed(fault) => fault.kind.word().to_owned(),
    }
}

pub fn fault_kind(outcome: &Outcome) -> Option<FaultKind> {
    match outcome {
        Outcome::Answered(_) => None,
        Outcome::Failed(fault) => Some(fault.kind),
    }
}

pub fn detail(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Answered(_) => "answered",
        Outcome::Failed(fault) => &fault.detail,
    }
}
