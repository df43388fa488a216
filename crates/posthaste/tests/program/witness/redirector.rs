//! A receiver that sends everybody elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use posthaste::certificate::Identity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The receiver.
pub struct Redirector {
    pub authority_pem: String,
    requests: Arc<AtomicUsize>,
}

impl Redirector {
    /// Answers `/to/HOST` with a redirect to that host.
    pub async fn start(at: SocketAddr, name: &str) -> Self {
        let identity = Identity::for_names(&[name]).unwrap();
        let acceptor = TlsAcceptor::from(identity.server);
        let listener = TcpListener::bind(at).await.unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = [0; 2048];
                    let Ok(length) = stream.read(&mut head).await else { return };
                    let head = String::from_utf8_lossy(&head[..length]).into_owned();
                    let to = head.split(' ').nth(1).unwrap_or_default().trim_start_matches("/to/").to_owned();
                    counted.fetch_add(1, Ordering::SeqCst);
                    let answer = format!(
                        "HTTP/1.1 302 Found\r\nLocation: https://{to}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { authority_pem: identity.authority_pem, requests }
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}
