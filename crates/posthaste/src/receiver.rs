//! A local receiver of deliveries: HTTP, or HTTPS with a certificate of its own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// The longest body taken.
const BODY_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Connections open at one time.
const CONNECTIONS_MAX: usize = 256;
/// The longest a handshake or a request's head may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Names and values in order; values that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Arrival {
    /// The headers as the contract's checks take them.
    #[must_use]
    pub fn header_pairs(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What a receiver answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, body: Bytes::new() }
    }
}

/// An answer in the making.
pub type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;
/// Makes the answer to each request.
pub type Handler = Arc<dyn Fn(Arrival) -> Answering + Send + Sync>;

/// A receiver that listens.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Receiver {
    /// Begins to listen; with TLS if there is a configuration.
    ///
    /// # Errors
    /// If the address is taken or not ours.
    pub async fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, listener, tls: tls.map(TlsAcceptor::from) })
    }

    /// Answers requests until it is dropped.
    pub async fn run(self, handler: Handler) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (tls, handler) = (self.tls.clone(), handler.clone());
            tokio::spawn(async move {
                connection(stream, tls, handler).await;
                drop(place);
            });
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, handler: Handler) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => requests(stream, handler).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                requests(stream, handler).await;
            }
        }
    }
}

async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, handler: Handler) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(answer(request, &handler).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    // How a sender ends its connection is its own affair.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, handler: &Handler) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let reply = match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Err(_) => Reply::empty(StatusCode::BAD_REQUEST),
        Ok(body) => {
            let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
            let headers = head.headers.iter();
            handler(Arrival {
                method: head.method.to_string(),
                target: head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
                headers: headers.filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect(),
                body: body.to_bytes(),
            })
            .await
        }
    };
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    response
}
