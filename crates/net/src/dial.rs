//! Making connections: look up, judge, connect, and speak TLS.
//!
//! Every connection that leaves the process is made here, and only to an address the guard has just let through.

mod proxy;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_core::{Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::fault::{fault, forbidden, timed_out};
use crate::guard::{Guard, Host, Origin, Refusal, Scheme, Target, is_localhost};
use crate::resolve::{Answer, NoAnswer, Resolver};
use crate::tls::{self, Tls};

pub use proxy::{BadProxy, Proxy};
pub(crate) use stream::Stream;

/// How many addresses of a name are tried at most.
const ADDRESSES_TRIED: usize = 8;

/// Makes connections to targets.
pub struct Dialler {
    guard: Arc<Guard>,
    resolver: Resolver,
    tls: Tls,
    proxy: Option<Proxy>,
}

/// A connection that was just made.
pub(crate) struct Line {
    pub stream: Stream,
    pub address: SocketAddr,
    /// Where the address came from; it is judged again by it whenever the connection is used.
    pub origin: Origin,
}

impl Dialler {
    /// A dialler. The guard is shared, so that its policy can be replaced.
    #[must_use]
    pub fn new(guard: Arc<Guard>, resolver: Resolver, tls: Tls) -> Self {
        Self { guard, resolver, tls, proxy: None }
    }

    /// The same, with every connection made through a proxy. Names are looked up and addresses judged here all the
    /// same; the proxy's own address is not judged, because the operator named it.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    /// The guard in force.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Judges a URL that somebody wants to register: its text, then the addresses it resolves to now. A name that
    /// does not resolve passes, unless only an allowed network would make it acceptable.
    ///
    /// # Errors
    /// The first rule that fails.
    pub async fn admit(&self, url: &str) -> Result<Target, Refusal> {
        let target = self.guard.check_url(url)?;
        match self.look_up(&target).await {
            Ok(answer) => self.judge(&target, &answer)?,
            Err(_) => target.unless_allowed().map_or(Ok(()), Err)?,
        }
        Ok(target)
    }

    /// Does the target resolve, to addresses that may be dialled?
    pub(crate) async fn is_public(&self, target: &Target, deadline: Instant) -> bool {
        matches!(timeout_at(deadline, self.vetted(target)).await, Ok(Ok(_)))
    }

    /// Connects to a target, with TLS if its scheme says so, before `deadline`.
    pub(crate) async fn dial(&self, target: &Target, deadline: Instant) -> Result<Line, Fault> {
        let answer = timeout_at(deadline, self.vetted(target))
            .await
            .map_err(|_| timed_out("while the host name was looked up"))??;
        let (stream, address) = self.connect(&answer.addresses, deadline).await?;
        let stream = match target.scheme() {
            Scheme::Http => Stream::Plain(stream),
            Scheme::Https => timeout_at(deadline, self.tls.connect(target.host(), stream))
                .await
                .map_err(|_| timed_out("during the TLS handshake"))?
                .map(|stream| Stream::Tls(Box::new(stream)))
                .map_err(|error| tls_fault(&error))?,
        };
        Ok(Line { stream, address, origin: answer.origin })
    }

    /// The addresses of a target. `localhost` is this host by either family: if the operator allows one of them, that
    /// one is meant.
    async fn look_up(&self, target: &Target) -> Result<Answer, NoAnswer> {
        let mut answer = self.resolver.resolve(target.host(), target.port()).await?;
        if matches!(target.host(), Host::Name(name) if is_localhost(name)) {
            let origin = answer.origin;
            let is_allowed = |address: &SocketAddr| self.guard.check_address(*address, origin).is_ok();
            if answer.addresses.iter().any(is_allowed) {
                answer.addresses.retain(is_allowed);
            }
        }
        Ok(answer)
    }

    /// The addresses of a target, if all of them may be dialled.
    async fn vetted(&self, target: &Target) -> Result<Answer, Fault> {
        self.guard.check_lifted(target).map_err(|_| forbidden())?;
        let answer = self.look_up(target).await;
        let answer = answer.map_err(|error| fault(FaultKind::DnsError, error.to_string()))?;
        let verdict = self.judge(target, &answer);
        verdict.map(|()| answer).map_err(|_| forbidden())
    }

    fn judge(&self, target: &Target, answer: &Answer) -> Result<(), Refusal> {
        self.guard.check_answer(target, &answer.addresses, answer.origin)?;
        self.guard.check_aliases(target, &answer.aliases, &answer.addresses, answer.origin)
    }

    /// Connects to the first address that takes the connection. Each gets an even share of the time that is left.
    async fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
    ) -> Result<(TcpStream, SocketAddr), Fault> {
        let mut last = fault(FaultKind::DnsError, "The host name has no address.");
        for (tried, address) in addresses.iter().take(ADDRESSES_TRIED).enumerate() {
            let until = turn_ends(deadline, addresses.len(), tried);
            last = match timeout_at(until, self.reach(*address, until)).await {
                Ok(Ok(stream)) => return Ok((stream, *address)),
                Ok(Err(fault)) => fault,
                Err(_) if self.proxy.is_some() => proxy::late(),
                Err(_) => timed_out("while the connection was made"),
            };
        }
        Err(last)
    }

    /// A connection to one judged address, made here or by the proxy.
    async fn reach(&self, address: SocketAddr, until: Instant) -> Result<TcpStream, Fault> {
        let Some(proxy) = &self.proxy else {
            return connect_one(address).await.map_err(|error| connect_fault(&error));
        };
        let mut stream = self.reach_proxy(proxy, until).await?;
        proxy.tunnel(&mut stream, address).await?;
        Ok(stream)
    }

    /// A connection to the first of the proxy's addresses that takes it, with shares as for receivers.
    async fn reach_proxy(&self, proxy: &Proxy, until: Instant) -> Result<TcpStream, Fault> {
        let (host, port) = proxy.place();
        let answer = self.resolver.look_up(host, port).await.map_err(|_| proxy::unresolved())?;
        let mut last = proxy::unresolved();
        for (tried, address) in answer.addresses.iter().take(ADDRESSES_TRIED).enumerate() {
            let until = turn_ends(until, answer.addresses.len(), tried);
            last = match timeout_at(until, connect_one(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => match connect_fault(&error) {
                    ours if ours.kind == FaultKind::Internal => return Err(ours),
                    _ => proxy::unreachable(),
                },
                Err(_) => proxy::late(),
            };
        }
        Err(last)
    }
}

/// Until when the next of so many addresses may be tried, after those that were: an even share of the time that is
/// left.
fn turn_ends(deadline: Instant, addresses: usize, tried: usize) -> Instant {
    let now = Instant::now();
    let still_to_try = addresses.min(ADDRESSES_TRIED).saturating_sub(tried).max(1);
    now + deadline.saturating_duration_since(now) / still_to_try as u32
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    if stream.peer_addr()? != address {
        return Err(io::Error::other("connected to another address than the one dialled"));
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect_fault(error: &io::Error) -> Fault {
    /// "Too many open files", in this process and on this machine.
    const OUT_OF_FILES: [i32; 2] = [24, 23];
    if error.raw_os_error().is_some_and(|code| OUT_OF_FILES.contains(&code)) {
        return fault(FaultKind::Internal, "This server has too many connections open.");
    }
    // It was there for a moment.
    if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionReset) {
        return fault(
            FaultKind::ConnectionLost,
            "The receiver reset the connection without a complete answer.",
        );
    }
    let sentence = match error.kind() {
        io::ErrorKind::ConnectionRefused => "The receiver refused the connection.",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "The receiver is unreachable.",
        io::ErrorKind::TimedOut => "The receiver did not answer the connection.",
        _ => "No connection to the receiver could be made.",
    };
    fault(FaultKind::ConnectFailed, sentence)
}

fn tls_fault(error: &io::Error) -> Fault {
    let broke_off = || "The receiver closed the connection during the TLS handshake.".to_owned();
    fault(FaultKind::TlsError, tls::sentence(error).unwrap_or_else(broke_off))
}
