//! From names to addresses.
//!
//! Names are absolute, the hosts file is not read, and a lookup takes at most [`LOOKUP_LIMIT`]. The answer is not
//! judged here; that is the guard's part.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{TokioResolver, system_conf};

use crate::guard::{Host, Origin, is_localhost};

mod connect_to;
mod families;

pub use connect_to::{BadConnectTo, ConnectTo};

/// The longest a lookup may take.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
/// The longest an answer is remembered, whatever its own time to live says.
const ANSWER_KEPT: Duration = Duration::from_secs(60);
/// The longest a name's absence is remembered; customers who mend their DNS should not wait for us.
const ABSENCE_KEPT: Duration = Duration::from_secs(5);
const DNS_PORT: u16 = 53;
/// Answers kept in memory.
const CACHE_ANSWERS: u64 = 4096;

/// Looks names up.
pub struct Resolver {
    dns: TokioResolver,
    connect_to: Vec<ConnectTo>,
}

/// The addresses a host and port stand for right now, all of them, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// In the order in which they should be tried; never empty.
    pub addresses: Vec<SocketAddr>,
    /// Who gave them.
    pub origin: Origin,
    /// The names that the host is an alias of (CNAME), in lower case.
    pub aliases: Vec<String>,
}

/// Why a name has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The name servers say there are none.
    #[error("The host name does not resolve.")]
    Absent,
    /// The name servers gave no usable answer.
    #[error("The name servers gave no usable answer.")]
    Unusable,
    /// Nothing came within [`LOOKUP_LIMIT`].
    #[error("The name servers did not answer in time.")]
    TimedOut,
}

/// The resolver could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the resolver: {0}")]
pub struct ResolverSetup(#[from] NetError);

impl Resolver {
    /// Uses the system's name servers; if none are configured, the one on this host, as the C library does.
    ///
    /// # Errors
    /// If the resolver does not take the configuration.
    pub fn system(connect_to: Vec<ConnectTo>) -> Result<Self, ResolverSetup> {
        match system_conf::read_system_conf() {
            Ok((config, options)) if !config.name_servers.is_empty() => {
                Self::build(config.name_servers, options, connect_to)
            }
            Ok(_) | Err(_) => {
                tracing::warn!("the system names no name servers; asking the one on this host");
                Self::with_name_servers(&[SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT))], connect_to)
            }
        }
    }

    /// Uses these name servers, over UDP and TCP.
    ///
    /// # Errors
    /// If the resolver does not take the configuration.
    pub fn with_name_servers(
        servers: &[SocketAddr],
        connect_to: Vec<ConnectTo>,
    ) -> Result<Self, ResolverSetup> {
        let servers = servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        });
        Self::build(servers.collect(), ResolverOpts::default(), connect_to)
    }

    fn build(
        servers: Vec<NameServerConfig>,
        mut options: ResolverOpts,
        connect_to: Vec<ConnectTo>,
    ) -> Result<Self, ResolverSetup> {
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = LOOKUP_LIMIT / 2;
        options.attempts = 2;
        options.cache_size = CACHE_ANSWERS;
        options.positive_max_ttl = Some(ANSWER_KEPT);
        options.negative_max_ttl = Some(ABSENCE_KEPT);
        let config = ResolverConfig::from_name_servers(servers);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self { dns: builder.with_options(options).build()?, connect_to })
    }

    /// All addresses a host and port stand for.
    ///
    /// # Errors
    /// If there are none.
    pub async fn resolve(&self, host: &Host, port: u16) -> Result<Answer, NoAnswer> {
        let Some(entry) = self.connect_to.iter().find(|entry| entry.applies_to(host, port)) else {
            return self.look_up(host, port).await;
        };
        let (host, port) = entry.instead_of(host, port);
        Ok(Answer { origin: Origin::Operator, ..self.look_up(host, port).await? })
    }

    /// The same, without the operator's own answers.
    pub(crate) async fn look_up(&self, host: &Host, port: u16) -> Result<Answer, NoAnswer> {
        let at_port = |ips: Vec<IpAddr>| ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let known = |ips, origin| Answer { addresses: at_port(ips), origin, aliases: Vec::new() };
        match host {
            Host::Ip(ip) => Ok(known(vec![*ip], Origin::Literal)),
            Host::Name(name) if is_localhost(name) => {
                let both = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
                Ok(known(both, Origin::Dns))
            }
            Host::Name(name) => {
                let told = families::ask(&self.dns, name).await?;
                Ok(Answer { addresses: at_port(told.ips), origin: Origin::Dns, aliases: told.aliases })
            }
        }
    }
}
