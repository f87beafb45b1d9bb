//! Whose certificates are believed.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::TlsError;

/// What is offered to a server, the best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The roots of all certificates that are believed. Clones share what is loaded, and TLS sessions.
#[derive(Clone)]
pub struct Trust {
    /// Whether to believe what the machine believes.
    platform: bool,
    added: RootCertStore,
    /// Made for the first request that needs it.
    config: Arc<OnceLock<Result<Arc<ClientConfig>, TlsError>>>,
}

/// Why certificates cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// There is none: not PEM, or PEM of something else.
    #[error("it holds no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\")")]
    NoCertificate,
    /// A certificate is not well-formed PEM.
    #[error("its certificate {number} is not well-formed PEM: {reason}")]
    Malformed {
        /// Which one, from 1.
        number: usize,
        /// How.
        reason: String,
    },
    /// A certificate is well-formed PEM of something that cannot be a root.
    #[error("its certificate {number} cannot be trusted as a root: {reason}")]
    Unfit {
        /// Which one, from 1.
        number: usize,
        /// Why.
        reason: String,
    },
}

impl Trust {
    /// What the machine believes: the files that OpenSSL reads, or what the variables `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// say instead. They are read by [`Trust::prepare`], or for the first request that needs them; a machine without any is no error before.
    #[must_use]
    pub fn platform() -> Trust {
        Trust { platform: true, ..Trust::nothing() }
    }

    /// Nothing but what is added.
    #[must_use]
    pub fn nothing() -> Trust {
        Trust { platform: false, added: RootCertStore::empty(), config: Arc::default() }
    }

    /// Believes the certificates in the text of a file too, all of them.
    ///
    /// # Errors
    ///
    /// There is none, or one of them is no certificate: then nothing is added.
    ///
    /// # Authority
    ///
    /// Whoever holds the key of one of them can pass for any server.
    pub fn add_pem(&mut self, pem: &[u8]) -> Result<(), TrustError> {
        let mut added = self.added.clone();
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            count += 1;
            let malformed = |reason: String| TrustError::Malformed { number: count, reason };
            let certificate = certificate.map_err(|error| malformed(error.to_string()))?;
            added.add(certificate).map_err(|error| TrustError::Unfit { number: count, reason: error.to_string() })?;
        }
        if count == 0 {
            return Err(TrustError::NoCertificate);
        }
        self.added = added;
        self.config = Arc::default();
        Ok(())
    }

    /// Reads now what the first request would read: for a process that will not be able to open files then.
    pub fn prepare(&self) {
        // What is wrong with it is told to the request that needs it.
        let _ = self.config();
    }

    /// The settings of every TLS connection.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        self.config.get_or_init(|| self.load().map(Arc::new)).clone()
    }

    fn load(&self) -> Result<ClientConfig, TlsError> {
        let mut roots = self.added.clone();
        if self.platform {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::debug!(%error, "certificates of this machine cannot be read");
            }
            let (good, bad) = roots.add_parsable_certificates(found.certs);
            tracing::debug!(good, bad, "certificates of this machine");
        }
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsError::from(&error))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("platform", &self.platform).field("added", &self.added.len()).finish()
    }
}
