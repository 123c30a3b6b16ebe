//! Whom we trust over https: the CA certificates of this machine, as its administrator keeps them.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as they do for OpenSSL; nothing is compiled in, so nothing in the
//! program grows stale. Read when a download starts: a CA that was just installed counts.

use crate::error::FetchError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Whom a [`Client`](crate::Client) trusts over https.
#[derive(Clone, Default)]
pub enum Trust {
    /// The CA certificates of this machine.
    #[default]
    System,
    /// Only these, in DER: CAs, or the servers' own.
    These(Vec<Vec<u8>>),
    /// The server whose own certificate has this SHA-256, by whatever name and until whenever: management controllers sign
    /// their own.
    Pinned([u8; 32]),
    /// Anybody: encrypted, and nobody knows with whom.
    Anyone,
}

impl Trust {
    /// The certificates of a PEM file; other things in it are skipped. `None` when there is none.
    pub fn from_pem(text: &[u8]) -> Option<Trust> {
        let found: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(text)
            .filter_map(|found| found.ok().map(|certificate| certificate.to_vec()))
            .collect();
        (!found.is_empty()).then_some(Trust::These(found))
    }

    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, FetchError> {
        match self {
            Trust::System => system(),
            Trust::These(certificates) => these(certificates.iter().cloned().map(Into::into).collect()),
            Trust::Pinned(pin) => by_own_rule(Some(*pin)),
            Trust::Anyone => by_own_rule(None),
        }
    }
}

/// The system's, by TLS 1.2 and 1.3 on ring.
pub(crate) fn system() -> Result<Arc<ClientConfig>, FetchError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a CA certificate of this machine cannot be read");
    }
    these(found.certs)
}

/// Only these.
pub(crate) fn these(certificates: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, FetchError> {
    let mut roots = RootCertStore::empty();
    // Some systems keep a certificate or two that rustls cannot use.
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(FetchError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| FetchError::NoRoots)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn by_own_rule(pin: Option<[u8; 32]>) -> Result<Arc<ClientConfig>, FetchError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| FetchError::NoRoots)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OwnRule { pin, provider }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Knows a server by the digest of its certificate, or takes anybody. That it has the certificate's key is checked either way:
/// a certificate is no secret.
#[derive(Debug)]
struct OwnRule {
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OwnRule {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen: [u8; 32] = Sha256::digest(end_entity).into();
        match self.pin {
            Some(pin) if pin != seen => Err(rustls::Error::General(format!(
                "its certificate has the SHA-256 {}, and {} is pinned",
                crate::hex(&seen),
                crate::hex(&pin)
            ))),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
