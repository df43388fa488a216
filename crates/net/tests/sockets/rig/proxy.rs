//! An HTTP proxy that knows CONNECT and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the proxy does once it was asked for a connection.
#[derive(Clone)]
pub enum Manner {
    /// Makes it, and passes bytes on.
    Tunnel,
    /// Sends these bytes and closes.
    Say(Vec<u8>),
    /// Sends these bytes again and again.
    Endless(Vec<u8>),
    /// Sends these bytes and nothing more, but stays.
    Stall(Vec<u8>),
}

pub struct ConnectProxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl ConnectProxy {
    pub async fn start(manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0", manner).await
    }

    /// A way out that leads nowhere. What is asked of it can be read off, and nothing leaves this host.
    pub async fn refusing() -> Self {
        Self::start(Manner::Say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec())).await
    }

    pub async fn start_at(address: &str, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = heads.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (manner, noted) = (manner.clone(), noted.clone());
                // How a connection ends is for the sender to notice.
                tokio::spawn(async move { serve(stream, manner, &noted).await.ok() });
            }
        });
        Self { address, heads, accepting }
    }

    /// As it stands in settings.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests, as they came.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// What was to be connected to.
    pub fn targets(&self) -> Vec<String> {
        let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.heads().iter().map(target).collect()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    heads.lock().unwrap().push(head);
    match manner {
        Manner::Tunnel => {
            let address: SocketAddr = target.unwrap().parse().expect("an address and no name");
            let mut there = TcpStream::connect(address).await?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n").await?;
            copy_bidirectional(&mut stream, &mut there).await.map(|_| ())
        }
        Manner::Say(bytes) => stream.write_all(&bytes).await,
        Manner::Endless(bytes) => loop {
            stream.write_all(&bytes).await?;
        },
        Manner::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            stream.read_to_end(&mut Vec::new()).await.map(|_| ())
        }
    }
}
