//! TLS in front of a listener.
//!
//! A handshake takes part in the bounds of a request's head: it has as long, and no longer, whatever bytes come. Each
//! connection shows the certificate that is in force when it begins.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::bounds::ServerBounds;
use super::linger::linger;
use super::places::Seat;
use super::unread::Unread;
use crate::certificate::Certificate;

/// The first byte of every TLS connection: a record of the handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
/// For clients that speak HTTP where TLS is spoken.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 32\r\n\r\nThis port speaks https, not http";

/// What a listener speaks TLS with.
#[derive(Clone)]
pub struct Tls {
    certificate: watch::Receiver<Arc<Certificate>>,
    handshakes: Handshakes,
}

/// How handshakes ended.
#[derive(Clone, Default)]
pub struct Handshakes(Family<Ended, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

impl Handshakes {
    /// Counts that the metrics show.
    pub fn register(registry: &mut Registry) -> Self {
        let handshakes = Self::default();
        let help = "TLS handshakes with clients, by how they ended";
        registry.register("posthaste_tls_handshakes", help, handshakes.0.clone());
        handshakes
    }

    fn count(&self, result: &'static str) {
        self.0.get_or_create(&Ended { result }).inc();
    }
}

impl Tls {
    /// Shows whatever certificate is in force when a connection comes.
    #[must_use]
    pub fn new(certificate: watch::Receiver<Arc<Certificate>>, handshakes: Handshakes) -> Self {
        Self { certificate, handshakes }
    }

    /// The connection inside, or nothing if there is none in time.
    pub(super) async fn meet(
        &self,
        stream: TcpStream,
        bounds: ServerBounds,
        seat: &Arc<Seat>,
    ) -> Option<TlsStream<Unread>> {
        let (result, met) = match timeout(bounds.head, self.shake_hands(stream, bounds, seat)).await {
            Ok(ended) => ended,
            Err(_) => ("timeout", None),
        };
        self.handshakes.count(result);
        met
    }

    async fn shake_hands(
        &self,
        mut stream: TcpStream,
        bounds: ServerBounds,
        seat: &Arc<Seat>,
    ) -> (&'static str, Option<TlsStream<Unread>>) {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1) if first == [HANDSHAKE] => {}
            Ok(1) if first[0].is_ascii_alphabetic() => {
                // Whoever does not read it, does not.
                let _ = stream.write_all(SPEAK_TLS).await;
                linger(stream, bounds).await;
                return ("plain", None);
            }
            _ => return ("failed", None),
        }
        let config = self.certificate.borrow().config();
        let stream = Unread::new(stream, bounds.unread, seat.clone());
        match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => ("done", Some(stream)),
            Err((error, stream)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                // The alert that says why would be lost with a reset.
                linger(stream, bounds).await;
                ("failed", None)
            }
        }
    }
}
