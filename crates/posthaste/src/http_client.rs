//! One HTTP request, in the clear or over TLS, within bounds.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::trust::Trust;

/// The longest a request may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The longest answer.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The address is none of HTTP.
    #[error("{0} is no http:// or https:// address")]
    Address(String),
    /// Nobody is there.
    #[error("nothing answers at {0}: {1}")]
    Connect(String, std::io::Error),
    /// Somebody is there, but not with a certificate that is trusted.
    #[error("no TLS with {0}: {1}")]
    Tls(String, String),
    /// Somebody is there, but does not answer as they should.
    #[error("{0} does not answer as it should: {1}")]
    Broken(String, String),
}

/// Sends one request to its URI and reads the whole answer. Over TLS the web's roots are trusted.
///
/// # Errors
/// See [`NoAnswer`].
pub async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
    send_trusting(None, request).await
}

/// The same, trusting other certificates.
///
/// # Errors
/// See [`NoAnswer`].
pub async fn send_trusting(
    trust: Option<&Trust>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, NoAnswer> {
    let place = Place::of(request.uri())?;
    let connecting = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(&place.address));
    let stream = connecting
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(|error| NoAnswer::Connect(place.address.clone(), error))?;
    let broken = |why: &dyn std::fmt::Display| NoAnswer::Broken(place.address.clone(), why.to_string());
    let exchanging = async {
        let answer = match place.name.clone() {
            None => exchange(stream, &place.address, request).await,
            Some(name) => {
                let shaking = tokio::time::timeout(CONNECT_LIMIT, shake_hands(trust, name, stream));
                let stream = shaking.await.unwrap_or_else(|_| Err("no handshake in time".to_owned()));
                let stream = stream.map_err(|why| NoAnswer::Tls(place.address.clone(), why))?;
                exchange(stream, &place.address, request).await
            }
        };
        answer.map_err(|error| broken(&error))
    };
    match tokio::time::timeout(LIMIT, exchanging).await {
        Ok(answer) => answer,
        Err(_) => Err(broken(&format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

async fn shake_hands(
    trust: Option<&Trust>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let config = match trust {
        Some(trust) => trust.config(),
        None => Trust::roots(&[]).map_err(|failure| failure.to_string())?.config(),
    };
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| error.to_string())
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    authority: &str,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    head.headers.insert(http::header::HOST, authority.parse()?);
    head.uri = head.uri.path_and_query().map_or("/", |target| target.as_str()).parse()?;
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await?.to_bytes();
    driving.abort();
    Ok(Response::from_parts(head, body))
}

/// Where a request goes.
struct Place {
    /// Host and port.
    address: String,
    /// The name that a certificate has to be for; `None` in the clear.
    name: Option<ServerName<'static>>,
}

impl Place {
    fn of(uri: &Uri) -> Result<Self, NoAnswer> {
        let no_address = || NoAnswer::Address(uri.to_string());
        let authority = uri.authority().ok_or_else(no_address)?;
        let host = authority.host();
        let (port, name) = match uri.scheme_str() {
            Some("http") => (80, None),
            Some("https") => {
                let name = host.trim_matches(['[', ']']).to_owned();
                (443, Some(ServerName::try_from(name).map_err(|_| no_address())?))
            }
            _ => return Err(no_address()),
        };
        Ok(Self { address: format!("{host}:{}", authority.port_u16().unwrap_or(port)), name })
    }
}
