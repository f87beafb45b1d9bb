//! An authority of the test's own, and what it signs.

use std::sync::Arc;

use http_client::Trust;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// When a certificate ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    LongAgo,
    Later,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Believes this authority and nobody else.
    pub(crate) fn trusted(&self) -> Trust {
        let mut trust = Trust::nothing();
        trust.add_pem(self.pem().as_bytes()).unwrap();
        trust
    }

    /// A server with a certificate for `name`, which offers `alpn`.
    pub(crate) fn server(&self, name: &str, ends: Ends, alpn: &[&str]) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        self.certified(builder.with_no_client_auth(), name, ends, alpn)
    }

    /// A server that asks for a certificate of the client's too.
    pub(crate) fn demanding_server(&self, name: &str) -> Arc<ServerConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        self.certified(builder.with_client_cert_verifier(verifier), name, Ends::Later, &["http/1.1"])
    }

    fn certified(
        &self,
        builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
        name: &str,
        ends: Ends,
        alpn: &[&str],
    ) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if ends == Ends::LongAgo {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
