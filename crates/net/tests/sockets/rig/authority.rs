//! A certificate authority of our own, and what receivers can do wrong with certificates.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, NameConstraints, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

type Chain = Vec<CertificateDer<'static>>;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What stands between it and a root.
    above: Chain,
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap());
        Self { issuer: issuer.unwrap(), above: Vec::new() }
    }

    /// An authority that this one vouches for.
    pub fn below(&self, params: CertificateParams) -> Self {
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.issuer).unwrap();
        let above = [&[issuer.der().clone()], &self.above[..]].concat();
        Self { issuer, above }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate of ours for a name.
    pub fn for_name(&self, name: &str) -> TlsAcceptor {
        acceptor(self.issue(CertificateParams::new(vec![name.to_owned()]).unwrap()))
    }

    /// One whose time is over.
    pub fn expired(&self, name: &str) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        acceptor(self.issue(params))
    }

    /// One whose time has not come.
    pub fn future(&self, name: &str) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(3000, 1, 1);
        acceptor(self.issue(params))
    }

    /// One that names its host as a common name alone.
    pub fn by_common_name(&self, name: &str) -> TlsAcceptor {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        acceptor(self.issue(params))
    }

    /// One for clients.
    pub fn for_clients(&self, name: &str) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        acceptor(self.issue(params))
    }

    /// A chain that is in order but for its length.
    pub fn through_many(&self, authorities: usize, name: &str) -> TlsAcceptor {
        let first = self.below(authority_params("0"));
        let last = (1..authorities).fold(first, |above, no| above.below(authority_params(&no.to_string())));
        last.for_name(name)
    }

    /// One whose issuer may vouch for other names only.
    pub fn beyond_its_names(&self, name: &str) -> TlsAcceptor {
        let mut params = authority_params("narrow");
        let permitted_subtrees = vec![GeneralSubtree::DnsName("elsewhere.example".to_owned())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        self.below(params).for_name(name)
    }

    /// The right certificate with further ones behind it, of so many bytes in all.
    pub fn padded(&self, bytes: usize, name: &str) -> TlsAcceptor {
        let (mut chain, key) = self.issue(CertificateParams::new(vec![name.to_owned()]).unwrap());
        let padding = Self::new("padding").issuer.der().clone();
        chain.extend(std::iter::repeat_n(padding.clone(), bytes / padding.len()));
        acceptor((chain, key))
    }

    /// Asks for a client certificate, and insists on it or not.
    pub fn asking_for_another(&self, name: &str, insists: bool) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
        let verifier = if insists { verifier } else { verifier.allow_unauthenticated() };
        let certified = self.issue(CertificateParams::new(vec![name.to_owned()]).unwrap());
        serving(certified, Some(verifier.build().unwrap()), &[])
    }

    /// Speaks only these protocols within TLS.
    pub fn speaking(&self, protocols: &[&str], name: &str) -> TlsAcceptor {
        let certified = self.issue(CertificateParams::new(vec![name.to_owned()]).unwrap());
        serving(certified, None, protocols)
    }

    fn issue(&self, params: CertificateParams) -> (Chain, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        ([&[certificate.der().clone()], &self.above[..]].concat(), key)
    }
}

/// A certificate that vouches for itself.
pub fn self_signed(name: &str) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    acceptor((vec![certificate.der().clone()], key))
}

/// A certificate with a key that is not its own.
pub fn of_another_key(authority: &Authority, name: &str) -> TlsAcceptor {
    let (chain, _) = authority.issue(CertificateParams::new(vec![name.to_owned()]).unwrap());
    acceptor((chain, KeyPair::generate().unwrap()))
}

/// Bytes that are no certificate.
pub fn of_no_certificate() -> TlsAcceptor {
    acceptor((vec![CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])], KeyPair::generate().unwrap()))
}

/// Certificates kept beside this file, made in ways that are out of use.
pub mod old_ways {
    use super::*;

    /// The root they lead to.
    pub const ROOT: &str = include_str!("old_ways/root.pem");

    pub fn signed_with_sha1() -> TlsAcceptor {
        acceptor_of(include_str!("old_ways/sha1.pem"))
    }

    pub fn signed_with_1024_bits() -> TlsAcceptor {
        acceptor_of(include_str!("old_ways/under_1024_bits.pem"))
    }

    fn acceptor_of(pem: &str) -> TlsAcceptor {
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
        let key = KeyPair::from_pem(include_str!("old_ways/leaf.key")).unwrap();
        acceptor((chain, key))
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn acceptor(certified: (Chain, KeyPair)) -> TlsAcceptor {
    serving(certified, None, &[])
}

/// Shows the chain as it is, fitting or not.
fn serving(
    (chain, key): (Chain, KeyPair),
    clients: Option<Arc<dyn ClientCertVerifier>>,
    protocols: &[&str],
) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let shown = CertifiedKey::new(chain, any_supported_type(&key).unwrap());
    let config =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = match clients {
        Some(verifier) => config.with_client_cert_verifier(verifier),
        None => config.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
