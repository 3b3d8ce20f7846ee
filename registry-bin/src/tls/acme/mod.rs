//! Certificates from an authority that speaks ACME (RFC 8555), by TLS-ALPN-01 (RFC 8737) on our own
//! port.
//!
//! The library does the asking; when it asks again after a failure, and how long an authority may be
//! silent, is decided here. What was had last is served until there is something newer.

mod kept;
mod refusal;
mod slot;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use registry_core::{Clock as _, SystemClock};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    server::{ClientHello, ResolvesServerCert},
};
use rustls_acme::{AcmeConfig, AcmeState, EventError, EventOk, is_tls_alpn_challenge};
use tokio::{sync::Notify, time::timeout};
use tracing::{error, info, warn};

use self::{kept::Kept, refusal::Refusal, slot::Slot};
use super::{pem, settings::TlsError};
use crate::config::{self, display_duration};

/// How long nothing may happen once a certificate is asked for. The library waits for an answer without
/// end, so a connection that died in silence would otherwise be the end of renewing. An authority that
/// takes its time is polled for seventeen minutes.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// How long to wait after the first failure in a row, the second, and so on. Let's Encrypt allows five
/// an hour for a name, and then refuses those that would succeed too.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
];

/// How long it waits after all others.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The certificates of an authority: had, kept and renewed.
pub(super) struct Acme {
    settings: config::Acme,
    /// How the authority is asked, where its own certificate is not of the web's.
    client: Option<Arc<ClientConfig>>,
    kept: Kept,
    /// What clients are shown.
    serving: Arc<Slot>,
    /// What the authority is shown when it looks whether a name is ours.
    asking: Arc<Slot>,
    challenge: Arc<ServerConfig>,
    hurry: Notify,
}

impl Acme {
    /// Reads what the settings name. Nothing is written.
    pub(super) fn new(settings: &config::Acme) -> Result<Self, TlsError> {
        let asking = Arc::<Slot>::default();
        Ok(Self {
            kept: Kept::at(&settings.cache)?,
            client: client(settings)?,
            serving: Arc::default(),
            challenge: challenge(&asking)?,
            asking,
            hurry: Notify::new(),
            settings: settings.clone(),
        })
    }

    /// Sees to it that what is had can be kept.
    pub(super) fn prepare(&self) -> Result<(), TlsError> {
        self.kept.prepare()
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Slot>::clone(&self.serving)
    }

    /// The configuration for a handshake in which the authority looks whether a name is ours.
    pub(super) fn challenge(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        is_tls_alpn_challenge(hello).then(|| Arc::clone(&self.challenge))
    }

    /// Asks again at once, if it failed and is waiting.
    pub(super) fn hurry(&self) {
        self.hurry.notify_waiters();
    }

    /// Has certificates and renews them, for ever.
    pub(super) async fn run(&self) {
        let mut failures = 0;
        loop {
            let refusal = self.until_refused(&mut failures).await;
            let pause = PAUSES.get(failures).copied().unwrap_or(LONGEST);
            failures += 1;
            // Before anybody reads of the failure, so that nobody's hurry is missed.
            let hurried = self.hurry.notified();
            self.tell(&refusal, pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = hurried => {}
            }
        }
    }

    /// Has a certificate and renews it until that fails.
    async fn until_refused(&self, failures: &mut usize) -> Refusal {
        let mut state = self.state();
        self.asking.put(state.resolver());
        while let Ok(Some(event)) = timeout(self.patience(), state.next()).await {
            let hosts = self.settings.hosts.join(", ");
            match event {
                Ok(EventOk::AccountCacheStore) => {}
                Ok(EventOk::CertCacheStore) => self.tell_of_new(),
                Ok(EventOk::DeployedCachedCert) => {
                    if self.serving.put(state.resolver()).is_none() {
                        let until = self.kept.until();
                        info!("TLS: certificate for {hosts} from the cache, until {until}");
                    }
                }
                Ok(EventOk::DeployedNewCert) => {
                    *failures = 0;
                    self.serving.put(state.resolver());
                }
                Err(EventError::Order(error)) => return error.into(),
                Err(EventError::NewCertParse(error)) => return error.into(),
                Err(error) => {
                    if matches!(error, EventError::CertCacheStore(_)) {
                        self.tell_of_new();
                    }
                    let folder = self.settings.cache.display();
                    warn!(
                        %error,
                        "TLS: what is kept of certificates in {folder} cannot be read or written: after a \
                         restart all is asked for anew, of which authorities allow only so much"
                    );
                }
            }
        }
        Refusal::silence(SILENCE)
    }

    /// An account and a certificate that is asked for, or the one that is kept until it is due.
    fn state(&self) -> AcmeState<io::Error> {
        let acme = &self.settings;
        let config = match &self.client {
            None => AcmeConfig::new(&acme.hosts),
            Some(client) => AcmeConfig::new_with_client_config(&acme.hosts, Arc::clone(client)),
        };
        let config = config
            .contact(acme.email.iter().map(|email| format!("mailto:{email}")))
            .cache(self.kept.clone());
        let config = match &acme.directory_url {
            None => config.directory_lets_encrypt(true),
            Some(url) => config.directory(url),
        };
        config.state()
    }

    /// How long it may take until something happens: a certificate is renewed when two thirds of its
    /// time are over.
    fn patience(&self) -> Duration {
        let due = self.kept.facts().and_then(|facts| {
            let lifetime = facts.until.duration_since(facts.from).ok()?;
            let due = facts.until.checked_sub(lifetime / 3)?;
            due.duration_since(SystemClock.now()).ok()
        });
        due.unwrap_or_default().saturating_add(SILENCE)
    }

    fn tell_of_new(&self) {
        let (hosts, until) = (self.settings.hosts.join(", "), self.kept.until());
        info!("TLS: new certificate for {hosts}, until {until}");
    }

    fn tell(&self, refusal: &Refusal, pause: Duration) {
        let (hosts, pause) = (self.settings.hosts.join(", "), display_duration(pause));
        let meanwhile = match self.kept.facts() {
            None => "there is none yet, and no client can connect".to_owned(),
            Some(facts) => format!("meanwhile there is the one until {}", facts.until_text),
        };
        let (why, remedy) = (refusal.why(), refusal.remedy());
        error!(
            why,
            "TLS: no new certificate for {hosts}; {meanwhile}. It is asked for again in {pause}, and on \
             SIGHUP. {remedy}"
        );
    }
}

/// How to ask an authority whose own certificate is not of the web's.
fn client(settings: &config::Acme) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let Some(authority) = &settings.directory_ca else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(authority)? {
        roots.add(certificate).map_err(|error| {
            TlsError::file(
                authority,
                format!("cannot be used: {error}; name the authority that signs the directory's certificate"),
            )
        })?;
    }
    let client = ClientConfig::builder_with_provider(Arc::new(pem::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setting(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(Arc::new(client)))
}

/// An authority that looks is no client of the registry: it has no certificate of one, and what the
/// configuration says of versions and cipher suites is not for it.
fn challenge(asking: &Arc<Slot>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(pem::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setting(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<Slot>::clone(asking));
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    Ok(Arc::new(config))
}
