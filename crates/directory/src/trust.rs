//! Whom to trust over TLS: the CA certificates of this machine, or those of one file.

use crate::error::DirectoryError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;

/// Whom to trust.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Roots {
    /// The CA certificates of this machine (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
    #[default]
    System,
    /// Only those of this PEM file: a domain's own CA.
    File(PathBuf),
}

/// TLS 1.2 and 1.3 on ring. Reads files: called once for each query.
pub(crate) fn config(roots: &Roots) -> Result<Arc<ClientConfig>, DirectoryError> {
    let certificates = match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a CA certificate of this machine cannot be read");
            }
            found.certs
        }
        Roots::File(path) => {
            let unreadable = |error: rustls::pki_types::pem::Error| DirectoryError::Roots {
                from: path.display().to_string(),
                reason: error.to_string(),
            };
            let read = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
            read.collect::<Result<Vec<_>, _>>().map_err(unreadable)?
        }
    };
    let mut store = RootCertStore::empty();
    // Some systems keep a certificate or two that rustls cannot use.
    store.add_parsable_certificates(certificates);
    let none = |reason: &str| DirectoryError::Roots {
        from: match roots {
            Roots::System => "this machine".to_owned(),
            Roots::File(path) => path.display().to_string(),
        },
        reason: reason.to_owned(),
    };
    if store.is_empty() {
        return Err(none("there is no usable CA certificate"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| none(&error.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(store).with_no_client_auth()))
}
