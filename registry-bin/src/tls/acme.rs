//! Certificates from an authority that speaks ACME (RFC 8555), by TLS-ALPN-01 on our own port.

use std::{fs, sync::Arc};

use futures_util::StreamExt as _;
use rustls::{ClientConfig, RootCertStore, server::ResolvesServerCert};
use rustls_acme::{AcmeConfig, AcmeState, EventOk, caches::DirCache};
use tokio::sync::Mutex;
use tracing::{error, info};

use super::{pem, settings::TlsError};
use crate::config;

/// The certificates of an authority: had, kept and renewed.
pub(super) struct Acme {
    resolver: Arc<dyn ResolvesServerCert>,
    state: Mutex<AcmeState<std::io::Error>>,
    hosts: String,
}

impl Acme {
    pub(super) fn new(acme: &config::Acme) -> Result<Self, TlsError> {
        if acme.cache.is_file() {
            let message = "is a file, as Distribution keeps it; here certificates are kept in a directory: \
                           name another in http.tls.letsencrypt.cachefile, they are had anew";
            return Err(TlsError::file(&acme.cache, message));
        }
        fs::create_dir_all(&acme.cache)
            .map_err(|error| TlsError::file(&acme.cache, format!("cannot be made: {error}")))?;
        let mut config = AcmeConfig::new(&acme.hosts)
            .contact(acme.email.iter().map(|email| format!("mailto:{email}")))
            .cache(DirCache::new(acme.cache.clone()));
        config = match &acme.directory_url {
            None => config.directory_lets_encrypt(true),
            Some(url) => config.directory(url),
        };
        if let Some(authority) = &acme.directory_ca {
            let mut roots = RootCertStore::empty();
            for certificate in pem::certificates(authority)? {
                roots.add(certificate).map_err(|error| {
                    TlsError::file(authority, format!("cannot be used: {error}"))
                })?;
            }
            let client = ClientConfig::builder_with_provider(Arc::new(pem::provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| TlsError::Setting(error.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            config = config.client_tls_config(Arc::new(client));
        }
        let state = config.state();
        Ok(Self {
            resolver: state.resolver(),
            state: Mutex::new(state),
            hosts: acme.hosts.join(", "),
        })
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.resolver)
    }

    /// Has certificates and renews them, for ever.
    pub(super) async fn run(&self) {
        let hosts = &self.hosts;
        let mut state = self.state.lock().await;
        while let Some(event) = state.next().await {
            match event {
                Ok(EventOk::DeployedCachedCert) => {
                    info!("TLS: certificate for {hosts} from the cache")
                }
                Ok(EventOk::DeployedNewCert) => info!("TLS: new certificate for {hosts}"),
                Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {}
                Err(error) => error!(
                    %error,
                    "TLS: no new certificate for {hosts}; what there is is served, and it is tried again. \
                     The authority must reach port 443 of each name, and the registry the authority"
                ),
            }
        }
    }
}
