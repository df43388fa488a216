//! Plain JSON calls, for what is made before a measurement and asked after it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest a call may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection to a server.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    credential: String,
}

impl Client {
    /// Connects; `token` is shown with each call.
    pub async fn connect(server: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(Self { sender, credential: format!("Bearer {token}") })
    }

    /// Reads.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Makes something.
    pub async fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let told = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, &self.credential)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.map(Value::to_string).unwrap_or_default().into()))?;
        let (status, body) =
            timeout(PATIENCE, self.exchange(request)).await.context("no answer in time")??;
        ensure!(status.is_success(), "{told}: {status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}
