//! What a listener shows over TLS: a certificate with its chain and key, read from PEM and found to fit together.

mod validity;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use posthaste_core::UnixMs;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate, its chain and its key, ready to be shown.
pub struct Certificate {
    config: Arc<ServerConfig>,
    fingerprint: [u8; 32],
    /// From when to when it is valid, as far as that can be read.
    valid: Option<(UnixMs, UnixMs)>,
}

/// Why PEM texts are no certificate that can be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// The first text is of no use.
    #[error("{0}")]
    Chain(String),
    /// The second text is of no use.
    #[error("{0}")]
    Key(String),
    /// Each is sound, but they are not of one pair.
    #[error("the key does not belong to the first certificate of the file")]
    Mismatch,
}

impl Certificate {
    /// Reads a chain, the server's own certificate first, and its key in PKCS#8, PKCS#1 or SEC1. TLS 1.2 and 1.3 are
    /// spoken with it, and HTTP/1.1 over them; clients are not asked for certificates.
    ///
    /// # Errors
    /// What is wrong with the texts, and with which.
    pub fn read(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, CertificateFault> {
        let chain = read_chain(chain_pem)?;
        let own = chain.first().map(|certificate| certificate.as_ref().to_vec()).unwrap_or_default();
        let key = read_key(key_pem)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        provider
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|_| CertificateFault::Key("its private key is of no kind that TLS knows".to_owned()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| unusable(&error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &own).as_ref());
        Ok(Self { config: Arc::new(config), fingerprint, valid: validity::of(&own) })
    }

    /// The SHA-256 of the server's own certificate.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// What clients will complain about, if they do.
    #[must_use]
    pub fn complaint(&self, now: UnixMs) -> Option<&'static str> {
        let (from, until) = self.valid?;
        match now {
            now if now < from => Some("the certificate is not valid yet"),
            now if now > until => Some("the certificate has expired"),
            _ => None,
        }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

fn read_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateFault> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| CertificateFault::Chain(broken(&error)))?;
    match chain.is_empty() {
        true => Err(CertificateFault::Chain("it holds no certificate in PEM".to_owned())),
        false => Ok(chain),
    }
}

fn read_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateFault> {
    const ENCRYPTED: &[u8] = b"ENCRYPTED";
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        let is_encrypted = text.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
        CertificateFault::Key(match error {
            _ if is_encrypted => "its private key is encrypted; give one that is not".to_owned(),
            pem::Error::NoItemsFound => "it holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)".to_owned(),
            error => broken(&error),
        })
    })
}

/// Says what is wrong without a byte of what stands there.
fn broken(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its PEM breaks off",
        pem::Error::Base64Decode(_) => "its PEM is no sound base64",
        _ => "its PEM is broken",
    }
    .to_owned()
}

fn unusable(error: &rustls::Error) -> CertificateFault {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => CertificateFault::Mismatch,
        _ => CertificateFault::Chain("its first certificate is broken".to_owned()),
    }
}

#[cfg(test)]
mod tests;
