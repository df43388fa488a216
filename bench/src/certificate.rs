//! A certificate authority for one run: what a TLS receiver shows by it, and what a sender trusts.

use std::sync::Arc;

use anyhow::ensure;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What a receiver shows, and what its callers have to trust.
pub struct Identity {
    /// The receiver's side of TLS.
    pub acceptor: TlsAcceptor,
    /// The authority's certificate.
    pub authority_pem: String,
}

impl Identity {
    /// A new authority, and a certificate by it for these names (`*.example` stands for all names right below).
    pub fn for_names(names: &[String]) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "posthaste-bench, for this run only");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);

        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), authority_pem: authority.pem() })
    }
}

/// The sender's side of TLS: trusts the authorities in `pem` and nobody else.
pub fn connector(pem: &[u8]) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    ensure!(!roots.is_empty(), "there is no certificate to trust");
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(client)))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::ServerName;

    use super::*;

    #[tokio::test]
    async fn a_wildcard_stands_for_every_host_and_nobody_else_is_trusted() {
        let identity = Identity::for_names(&["*.bench.example".to_owned()]).unwrap();
        let other = Identity::for_names(&["*.bench.example".to_owned()]).unwrap();
        for (pem, name, is_trusted) in [
            (&identity.authority_pem, "h7.bench.example", true),
            (&identity.authority_pem, "bench.example", false),
            (&other.authority_pem, "h7.bench.example", false),
        ] {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let connector = connector(pem.as_bytes()).unwrap();
            let (shaken, _) = tokio::join!(
                connector.connect(ServerName::try_from(name).unwrap(), near),
                identity.acceptor.accept(far)
            );
            assert_eq!(shaken.is_ok(), is_trusted, "{name}");
        }
        assert!(connector(b"").is_err());
    }
}
