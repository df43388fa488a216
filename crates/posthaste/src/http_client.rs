//! One HTTP request in the clear, within bounds.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest a request may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The longest answer.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The address is none of plain HTTP.
    #[error("{0} is no http:// address")]
    Address(String),
    /// Nobody is there.
    #[error("nothing answers at {0}: {1}")]
    Connect(String, std::io::Error),
    /// Somebody is there, but does not answer as they should.
    #[error("{0} does not answer as it should: {1}")]
    Broken(String, String),
}

/// Sends one request to its URI and reads the whole answer.
///
/// # Errors
/// See [`NoAnswer`].
pub async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
    let authority = authority(request.uri())?;
    let connecting = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(&authority));
    let stream = connecting
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(|error| NoAnswer::Connect(authority.clone(), error))?;
    let broken = |why: &dyn std::fmt::Display| NoAnswer::Broken(authority.clone(), why.to_string());
    match tokio::time::timeout(LIMIT, exchange(stream, &authority, request)).await {
        Ok(answer) => answer.map_err(|error| broken(&error)),
        Err(_) => Err(broken(&format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

async fn exchange(
    stream: TcpStream,
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

fn authority(uri: &Uri) -> Result<String, NoAnswer> {
    let no_address = || NoAnswer::Address(uri.to_string());
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(no_address)?;
    Ok(format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)))
}
