//! What a certificate and a key in PEM are good for, and what is wrong with them.

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// Why a certificate and a key cannot be served with. The text is for whoever gave the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The certificate file is not PEM.
    #[error(
        "the certificate file cannot be read as PEM: it should have lines from BEGIN CERTIFICATE to END CERTIFICATE"
    )]
    Certificate(#[source] pem::Error),
    /// The certificate file has no certificate.
    #[error("the certificate file has no BEGIN CERTIFICATE: is it the key, or DER instead of PEM?")]
    NoCertificate,
    /// The key file is not PEM.
    #[error("the key file cannot be read as PEM: it should have lines from BEGIN PRIVATE KEY to END PRIVATE KEY")]
    Key(#[source] pem::Error),
    /// The key file has no key.
    #[error("the key file has no BEGIN PRIVATE KEY: is it the certificate, or DER instead of PEM?")]
    NoKey,
    /// The key is encrypted.
    #[error("the key file is protected by a password: write it without (openssl pkey -in FILE -out PLAINFILE)")]
    EncryptedKey,
    /// The key is of a kind that is not supported.
    #[error("the key file has a key that cannot be used: make one of RSA, ECDSA (P-256, P-384) or Ed25519")]
    UnsupportedKey(#[source] rustls::Error),
    /// The key is another certificate's.
    #[error("the key file does not belong to the first certificate of the certificate file")]
    Mismatch,
    /// The certificate is no good.
    #[error("the certificate file has a certificate that cannot be used")]
    UnusableCertificate(#[source] rustls::Error),
}

/// TLS 1.2 and 1.3 with this certificate, followed by those that vouch for it, and its key. HTTP/2 is offered first.
///
/// The key may be in any of the three usual forms: PKCS#8, PKCS#1 or SEC1.
///
/// # Errors
/// See [`TlsConfigError`].
pub fn tls_config(cert_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>, TlsConfigError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert_pem).collect();
    let chain = chain.map_err(TlsConfigError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsConfigError::NoCertificate);
    }
    let key = key(key_pem)?;
    let provider = Arc::new(default_provider());
    if let Err(error) = provider.key_provider.load_private_key(key.clone_key()) {
        return Err(TlsConfigError::UnsupportedKey(error));
    }
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsConfigError::UnusableCertificate)?;
    let made = builder.with_no_client_auth().with_single_cert(chain, key);
    let mut config = made.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsConfigError::Mismatch,
        error => TlsConfigError::UnusableCertificate(error),
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn key(key_pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    let text = String::from_utf8_lossy(key_pem);
    match PrivateKeyDer::from_pem_slice(key_pem) {
        Ok(_) if text.contains("Proc-Type: 4,ENCRYPTED") => Err(TlsConfigError::EncryptedKey),
        Ok(key) => Ok(key),
        Err(_) if text.contains("ENCRYPTED") => Err(TlsConfigError::EncryptedKey),
        Err(pem::Error::NoItemsFound) => Err(TlsConfigError::NoKey),
        Err(error) => Err(TlsConfigError::Key(error)),
    }
}
