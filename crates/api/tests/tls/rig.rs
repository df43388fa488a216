//! A listener with short bounds, and clients that trust one certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use posthaste_api::certificate::Certificate;
use posthaste_api::server::{Entrance, Handshakes, ServerBounds, Site, SiteParts, Tls, serve};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub struct Rig {
    pub address: SocketAddr,
    shown: watch::Sender<Arc<Certificate>>,
    _stop: watch::Sender<bool>,
}

/// A certificate, and what its clients have to trust.
pub fn certificate(name: &str) -> (Arc<Certificate>, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let certificate = Certificate::read(own.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    (Arc::new(certificate), own.der().clone())
}

impl Rig {
    pub async fn start(certificate: Arc<Certificate>) -> Self {
        let short = Duration::from_millis(400);
        let bounds = ServerBounds { connections: 8, head: short, linger: short, ..ServerBounds::default() };
        let shown = watch::Sender::new(certificate);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let entrance = Entrance::with_tls(listener, Tls::new(shown.subscribe(), Handshakes::default()));
        let site = Site::new(SiteParts {
            public: None,
            docs: None,
            admin: None,
            readiness: Arc::new(|| Ok(())),
            metrics: None,
        });
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move { serve(entrance, Arc::new(site), bounds, &[], stopped).await });
        Self { address, shown, _stop: stop }
    }

    /// Puts another certificate in force.
    pub fn show(&self, certificate: Arc<Certificate>) {
        self.shown.send_replace(certificate);
    }

    /// A connection by a client that offers these protocols.
    pub async fn connect(
        &self,
        root: &CertificateDer<'static>,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
    }

    /// Does it still answer a client that does everything right?
    pub async fn is_alive(&self) -> bool {
        let (shown, root) = certificate("localhost");
        self.show(shown);
        let mut stream = self.connect(&root, &[b"http/1.1"]).await.unwrap();
        get(&mut stream).await.starts_with("HTTP/1.1 200 ")
    }
}

/// Asks on a connection that stays open, and reads the answer.
pub async fn get(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let mut part = [0; 512];
        let length = stream.read(&mut part).await.unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
    }
    String::from_utf8(answer).unwrap()
}
