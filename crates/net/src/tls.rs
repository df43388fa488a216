//! TLS towards receivers: one configuration for all of them, and names for what can go wrong.

mod records;

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, PeerMisbehaved, RootCertStore,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::guard::Host;

pub(crate) use records::Records;

/// Makes TLS connections: version 1.2 or 1.3, certificates checked against the web's roots and the operator's.
///
/// Sessions are not resumed. A ticket is bytes of the receiver's choice that would be shown to whatever address its
/// name leads to next; pooled connections save more handshakes than tickets would.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetup {
    /// The file of further roots holds no certificate or a broken one.
    #[error("the file of trusted roots cannot be used: {0}")]
    Roots(String),
    /// The library does not take the configuration.
    #[error("TLS cannot be set up: {0}")]
    Config(#[from] Error),
}

impl Tls {
    /// Trusts the web's roots, and those in `further_roots` (PEM) if it is given.
    ///
    /// # Errors
    /// If the PEM text holds no certificate or one that cannot be a root.
    pub fn new(further_roots: Option<&[u8]>) -> Result<Self, TlsSetup> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = further_roots {
            add_roots(&mut roots, pem)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    pub(crate) async fn connect(&self, host: &Host, stream: TcpStream) -> io::Result<TlsStream<Records>> {
        let name = match host {
            Host::Ip(ip) => ServerName::from(*ip),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
        };
        self.connector.connect(name, Records::new(stream)).await
    }
}

fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsSetup> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TlsSetup::Roots(error.to_string()))?;
        roots.add(certificate)?;
    }
    if roots.len() == before {
        return Err(TlsSetup::Roots("it holds no certificate".to_owned()));
    }
    Ok(())
}

/// Says what went wrong in a handshake, or `None` if the fault is not one of TLS. Nothing in it is text of the
/// receiver's.
pub(crate) fn sentence(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let sentence = match error {
        Error::InvalidCertificate(flaw) => return Some(certificate_sentence(flaw)),
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "The receiver offers no TLS version or cipher that is safe enough."
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "The receiver asks for a client certificate."
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            "The receiver does not speak HTTP/1.1 over TLS."
        }
        Error::AlertReceived(alert) => {
            return Some(format!("The receiver broke off the TLS handshake ({alert:?})."));
        }
        Error::NoCertificatesPresented => "The receiver shows no certificate.",
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            "The receiver's certificate chain is too large."
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "The receiver does not speak TLS.",
        _ => "The receiver does not speak TLS as it should.",
    };
    Some(sentence.to_owned())
}

fn certificate_sentence(flaw: &CertificateError) -> String {
    use CertificateError as Flaw;
    let sentence = match flaw {
        Flaw::Expired | Flaw::ExpiredContext { .. } => "The receiver's certificate has expired.",
        Flaw::NotValidYet | Flaw::NotValidYetContext { .. } => "The receiver's certificate is not valid yet.",
        Flaw::UnknownIssuer => {
            "The receiver's certificate is self-signed or from an issuer that is not trusted."
        }
        Flaw::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "The receiver's certificate names no host as a subject alternative name."
        }
        Flaw::NotValidForName | Flaw::NotValidForNameContext { .. } => {
            "The receiver's certificate is for another name."
        }
        Flaw::Revoked => "The receiver's certificate was revoked.",
        Flaw::BadSignature => {
            "A signature of the receiver's certificate does not hold, or its key is too weak."
        }
        Flaw::UnsupportedSignatureAlgorithmContext { .. }
        | Flaw::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "The receiver's certificate is signed in a way that is not safe enough."
        }
        Flaw::InvalidPurpose | Flaw::InvalidPurposeContext { .. } => {
            "The receiver's certificate is not one for servers."
        }
        Flaw::BadEncoding => "The receiver's certificate is malformed.",
        // What `openssl req -x509` makes: an authority that signed itself and stands in for a server.
        Flaw::Other(rule) if rule.to_string() == "CaUsedAsEndEntity" => {
            "The receiver's certificate is self-signed, or an authority's own."
        }
        // The library's word for the rule that is broken.
        Flaw::Other(rule) => return format!("The receiver's certificate does not hold ({rule})."),
        _ => "The receiver's certificate does not hold.",
    };
    sentence.to_owned()
}
