//! From the configuration to what answers handshakes.

use std::{
    fmt, io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig, SupportedCipherSuite,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    version::{TLS12, TLS13},
};
use tokio::task::JoinError;

use super::{acme::Acme, clients, identity::Identity, pem};
use crate::{
    config::{Certificate, ClientAuth, ConfigError, Resolved, Tls, TlsVersion},
    reload::Reloaded,
};

/// How often is looked whether the files of a certificate are others.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What answers handshakes. Clones are one.
#[derive(Clone)]
pub struct Acceptor(Arc<Inner>);

struct Inner {
    tls: Tls,
    http2: bool,
    source: Source,
    config: RwLock<Arc<ServerConfig>>,
}

enum Source {
    Acme(Box<Acme>),
    Files(Arc<Identity>),
}

impl Acceptor {
    /// Reads the files that the configuration names, and makes the directory for certificates of an
    /// authority. `http2` is whether it is offered.
    ///
    /// # Errors
    ///
    /// [`TlsError`] says what is wrong, and what to do.
    pub fn new(tls: &Tls, http2: bool) -> Result<Self, TlsError> {
        let acceptor = Self::look(tls, http2)?;
        if let Source::Acme(acme) = &acceptor.0.source {
            acme.prepare()?;
        }
        Ok(acceptor)
    }

    /// The same, with nothing written.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn look(tls: &Tls, http2: bool) -> Result<Self, TlsError> {
        let source = match &tls.certificate {
            Certificate::Acme(acme) => Source::Acme(Box::new(Acme::new(acme)?)),
            Certificate::Files { certificate, key } => {
                Source::Files(Arc::new(Identity::read(certificate, key)?))
            }
        };
        let config = source.config(tls, http2)?;
        let inner = Inner {
            tls: tls.clone(),
            http2,
            source,
            config: RwLock::new(Arc::new(config)),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The configuration for the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        let config = self.0.config.read();
        Arc::clone(&config.unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration for a handshake that begins so, where that is not [`config`](Self::config): an
    /// authority looks whether a name is ours.
    pub(super) fn challenge(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        match &self.0.source {
            Source::Acme(acme) => acme.challenge(hello),
            Source::Files(_) => None,
        }
    }

    /// Whether an authority vouches for the certificates that clients show.
    pub(super) fn verifies_clients(&self) -> bool {
        self.0.tls.clients.as_ref().is_some_and(|clients| {
            matches!(
                clients.auth,
                ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify
            )
        })
    }

    /// Reads certificate and key again. Where an authority is asked for them, it is asked at once if it
    /// refused before.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when they are no pair; the old one stays then.
    pub fn reload(&self) -> Result<Reloaded, TlsError> {
        match &self.0.source {
            Source::Acme(acme) => {
                acme.hurry();
                let said = "an authority that refused is asked again at once";
                Ok(Reloaded::Otherwise(said.to_owned()))
            }
            Source::Files(identity) => identity.reload().map(|()| Reloaded::Again),
        }
    }

    /// Reads the authorities of clients again.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when a file is not what it must be; the old ones stay then.
    pub fn reload_authorities(&self) -> Result<(), TlsError> {
        let config = self.0.source.config(&self.0.tls, self.0.http2)?;
        let mut slot = self
            .0
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Arc::new(config);
        Ok(())
    }

    /// What has to run beside the connections; it never ends.
    pub async fn run(&self) {
        match &self.0.source {
            Source::Acme(acme) => acme.run().await,
            Source::Files(identity) => loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let identity = Arc::clone(identity);
                // Looking at files may wait, on a volume of the network.
                let looked = tokio::task::spawn_blocking(move || identity.watch()).await;
                if let Err(Ok(panicked)) = looked.map_err(JoinError::try_into_panic) {
                    resume_unwind(panicked);
                }
            },
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("tls", &self.0.tls)
            .finish_non_exhaustive()
    }
}

impl Source {
    fn config(&self, tls: &Tls, http2: bool) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: cipher_suites(tls)?,
            ..pem::provider()
        });
        let versions: &[_] = match tls.minimum {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::CipherSuites(error.to_string()))?;
        let builder = match &tls.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                builder.with_client_cert_verifier(clients::verifier(clients, &provider)?)
            }
        };
        let resolver: Arc<dyn ResolvesServerCert> = match self {
            Self::Acme(acme) => acme.resolver(),
            Self::Files(identity) => Arc::<Identity>::clone(identity),
        };
        let mut config = builder.with_cert_resolver(resolver);
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(config)
    }
}

/// Those of TLS 1.3 are safe, all of them, and lists are written for older versions: one that names none
/// of them leaves them on, as in Distribution.
fn cipher_suites(tls: &Tls) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let all = pem::provider().cipher_suites;
    if tls.cipher_suites.is_empty() {
        return Ok(all);
    }
    // rustls calls those of TLS 1.3 TLS13_…, everybody else TLS_….
    let name = |suite: &SupportedCipherSuite| {
        let name = suite.suite().as_str().unwrap_or_default();
        name.replacen("TLS13_", "TLS_", 1)
    };
    let find = |wanted: &String| {
        let found = all.iter().find(|suite| {
            // Go names these two with and without the hash.
            let name = name(suite);
            name == *wanted || name.strip_suffix("_SHA256") == Some(wanted)
        });
        found.copied().ok_or_else(|| {
            let known: Vec<_> = all.iter().map(name).collect();
            let known = known.join(", ");
            TlsError::CipherSuites(format!("{wanted} is not offered; those that are: {known}"))
        })
    };
    let mut named: Vec<_> = tls
        .cipher_suites
        .iter()
        .map(find)
        .collect::<Result<_, _>>()?;
    if named.iter().all(|suite| suite.tls13().is_none()) {
        let newest = all.iter().filter(|suite| suite.tls13().is_some());
        named.splice(0..0, newest.copied());
    }
    Ok(named)
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The list of cipher suites is not what it must be.
    #[error("{0}")]
    CipherSuites(String),
    /// A file is not what it must be.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// The operating system does not play along.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A setting is not what it must be.
    #[error("{0}")]
    Setting(String),
}

impl TlsError {
    /// As an error of the configuration that `tls` was read from: with the key, and where it stands.
    pub fn in_configuration(&self, tls: &Tls, resolved: &Resolved) -> ConfigError {
        let key = match (self, &tls.certificate) {
            (Self::File { path, .. }, Certificate::Files { key, .. }) if path == key => {
                "http.tls.key"
            }
            (Self::File { path, .. }, Certificate::Files { certificate, .. })
                if path == certificate =>
            {
                "http.tls.certificate"
            }
            (Self::File { path, .. }, Certificate::Acme(acme)) if *path == acme.cache => {
                "http.tls.letsencrypt.cachefile"
            }
            (Self::File { path, .. }, Certificate::Acme(acme))
                if acme.directory_ca.as_ref() == Some(path) =>
            {
                "http.tls.letsencrypt.directoryca"
            }
            (Self::File { .. }, _) => "http.tls.clientcas",
            (Self::CipherSuites(_), _) => "http.tls.ciphersuites",
            (Self::Io(_) | Self::Setting(_), _) => "http.tls",
        };
        ConfigError::new(resolved.origin(key), key, self.to_string())
    }

    pub(super) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}
