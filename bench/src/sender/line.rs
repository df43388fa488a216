//! What one connection of the sender goes over: hyper alone, or Posthaste's transport.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use posthaste_net::{
    ConnectTo, Dialler, Guard, GuardPolicy, Host, HttpTransport, Outgoing, PoolLimits, Resolver, Scheme,
    Target, Tls, Transport,
};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Client, Options};
use crate::certificate;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The headers of a request.
pub type Headers = [(&'static str, String); 5];

/// What all connections have in common.
pub struct Ways {
    client: Client,
    guard: Arc<Guard>,
    transport: Arc<HttpTransport>,
    connect: Option<SocketAddr>,
    tls: Option<TlsConnector>,
}

impl Ways {
    pub fn new(options: &Options) -> anyhow::Result<Self> {
        let nets = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse()).collect::<Result<_, _>>()?;
        let guard = Arc::new(Guard::new(GuardPolicy::new(nets)?.allowing_http(true)));
        let read = |file: &PathBuf| std::fs::read(file).with_context(|| file.display().to_string());
        let roots = options.ca_file.as_ref().map(read).transpose()?;
        let elsewhere = options.connect.map(|to| format!("::{to}").parse::<ConnectTo>()).transpose()?;
        let resolver = Resolver::system(elsewhere.into_iter().collect())?;
        let dialler = Dialler::new(guard.clone(), resolver, Tls::new(roots.as_deref())?);
        let limits = PoolLimits { per_origin: 4096, in_all: 4096 };
        Ok(Self {
            client: options.client,
            transport: Arc::new(HttpTransport::new(Arc::new(dialler), limits)),
            guard,
            connect: options.connect,
            tls: roots.as_deref().map(certificate::connector).transpose()?,
        })
    }

    /// The way to a target. The bare one is connected, with TLS if the URL says so; the transport connects by itself.
    pub async fn to(&self, url: &str) -> anyhow::Result<Line> {
        let target = Arc::new(self.guard.check_url(url)?);
        let way = match self.client {
            Client::Bare => Way::Bare(self.connected(&target).await?),
            Client::Posthaste => Way::Transport(self.transport.clone()),
        };
        Ok(Line { target, way })
    }

    async fn connected(&self, target: &Target) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let address = match (self.connect, target.host()) {
            (Some(address), _) => address,
            (None, Host::Ip(ip)) => SocketAddr::new(*ip, target.port()),
            (None, Host::Name(_)) => bail!("the bare client looks no names up; say where to --connect"),
        };
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        match target.scheme() {
            Scheme::Http => shaken(stream).await,
            Scheme::Https => {
                let tls = self.tls.as_ref().context("say whom to trust with --ca-file")?;
                let name = match target.host() {
                    Host::Ip(ip) => ServerName::from(*ip),
                    Host::Name(name) => ServerName::try_from(name.clone())?,
                };
                shaken(tls.connect(name, stream).await.context("no TLS")?).await
            }
        }
    }
}

async fn shaken<S>(stream: S) -> anyhow::Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender)
}

/// One way to one target.
pub struct Line {
    target: Arc<Target>,
    way: Way,
}

enum Way {
    Bare(SendRequest<Full<Bytes>>),
    Transport(Arc<HttpTransport>),
}

impl Line {
    /// Sends a request, and says whether it was answered with 200.
    pub async fn post(&mut self, headers: Headers, body: Bytes) -> anyhow::Result<bool> {
        match &mut self.way {
            Way::Bare(sender) => post_bare(sender, &self.target, headers, body).await,
            Way::Transport(transport) => {
                let request = Outgoing {
                    partition: 1,
                    target: self.target.clone(),
                    headers: headers.into_iter().collect(),
                    body,
                    timeout: TIMEOUT,
                };
                Ok(transport.send(request).await.outcome.status() == Some(200))
            }
        }
    }
}

async fn post_bare(
    sender: &mut SendRequest<Full<Bytes>>,
    target: &Target,
    headers: Headers,
    body: Bytes,
) -> anyhow::Result<bool> {
    let mut request = Request::post(target.path_and_query()).header(header::HOST, "localhost");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    sender.ready().await?;
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status == 200)
}
