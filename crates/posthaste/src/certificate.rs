//! A certificate authority for one run, and a certificate by it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What an HTTPS receiver shows, and what its callers have to trust.
pub struct Identity {
    /// The server's side: certificate and key.
    pub server: Arc<ServerConfig>,
    /// The authority's certificate.
    pub authority_pem: String,
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// Keys or certificates.
    #[error("no certificate could be made: {0}")]
    Making(#[from] rcgen::Error),
    /// The TLS library does not take it.
    #[error("the certificate cannot be used: {0}")]
    Using(#[from] rustls::Error),
}

impl Identity {
    /// An authority that nobody else knows, and a certificate by it for these host names.
    ///
    /// # Errors
    /// If one of the names is none.
    pub fn for_names(names: &[&str]) -> Result<Self, CertificateFault> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Posthaste, for this run only");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);

        let own_names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(own_names)?.signed_by(&key, &issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server), authority_pem: authority.pem() })
    }
}
