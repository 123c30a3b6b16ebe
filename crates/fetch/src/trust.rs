//! Whom we trust over https: the CA certificates of this machine, as its administrator keeps them.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as they do for OpenSSL; nothing is compiled in, so nothing in the
//! program grows stale. Read when a download starts: a CA that was just installed counts.

use crate::error::FetchError;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

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
