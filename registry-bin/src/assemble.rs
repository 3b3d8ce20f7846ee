//! The one place where stores, engine, layers and HTTP meet: what a configuration is made of.

use std::sync::Arc;

use registry_auth::htpasswd::Htpasswd;
use registry_core::{
    Engine, Registry,
    engine::{Limits, ManifestPolicy, ReferencePolicy, UrlPolicy},
    layer::ReadOnly,
    protocol::PageSize,
    server::RegistryService,
};
use registry_storage::{fs::FsStorage, memory::MemoryStorage};
use tokio::task::spawn_blocking;

use crate::{
    config::{
        Again, Class, Config, ConfigError, Driver, Environment, Indexes, References, UploadPurging,
        Validation,
    },
    failure::Failure,
    health::Health,
    reload::{ReloadError, Reloaded, Reloads},
    requests,
    root::Root,
    telemetry::{self, AccessLog, Logs},
    tls::Acceptor,
    trusted::TrustedPeers,
};

/// How many repositories a catalog page has when the client does not say, as in Distribution.
const CATALOG_PAGE: usize = 100;

/// A registry that can be served.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assembled {
    /// The HTTP API.
    pub service: RegistryService<Root>,
    /// Below the layers: for maintenance.
    pub engine: Engine,
    /// Whether it is well: the service answers 503 while it is not.
    pub health: Health,
    /// What to do about uploads that nobody finishes.
    pub upload_purging: Option<UploadPurging>,
    /// What encrypts connections, if they are.
    pub tls: Option<Acceptor>,
    /// Whether clients may speak HTTP/2.
    pub http2: bool,
}

/// Opens the stores and puts everything around them, with a line in `log` for each request.
///
/// # Errors
///
/// When the stores cannot be opened, or the files that TLS needs are not what they must be.
pub fn registry(config: &Config, log: Option<AccessLog>) -> Result<Assembled, Failure> {
    let tls = tls(config)?;
    let engine = engine(config)?;
    let registry: Arc<dyn Registry> = if config.storage.read_only {
        Arc::new(ReadOnly::new(engine.clone()))
    } else {
        Arc::new(engine.clone())
    };
    let health = match (&config.health, &config.storage.driver) {
        (None, _) => Health::new(),
        (Some(check), Driver::Filesystem { .. }) => {
            Health::with_storage("filesystem", check.threshold)
        }
        (Some(check), Driver::Inmemory) => Health::with_storage("inmemory", check.threshold),
    };
    let trusted = config.http.trusted.clone();
    Ok(Assembled {
        service: service(registry, config, log, health.clone(), trusted),
        health,
        // Nothing is purged from what is read-only.
        upload_purging: config
            .storage
            .upload_purging
            .filter(|_| !config.storage.read_only),
        http2: if tls.is_some() {
            config.http.http2
        } else {
            config.http.h2c
        },
        tls,
        engine,
    })
}

/// What SIGHUP has read again: the files of the logs, the certificates, the authorities of clients,
/// and the levels of the log.
/// (The users of an htpasswd file are read again by themselves.)
pub fn reloads(
    config: &Config,
    registry: &Assembled,
    logs: &Logs,
    environment: Environment,
) -> Reloads {
    let mut reloads = Reloads::new();
    // First, so that what is said of the others is in the new file.
    if config.log.file.is_some() || config.log.access_file.is_some() {
        let logs = logs.clone();
        reloads.add("log files", move || {
            let logs = logs.clone();
            off_the_reactor(move || {
                logs.reopen()?;
                Ok(Reloaded::Again)
            })
        });
    }
    if let Some(tls) = registry.tls.clone() {
        reloads.add("TLS certificates", move || {
            let tls = tls.clone();
            off_the_reactor(move || Ok(tls.reload()?))
        });
    }
    let authorities = config
        .http
        .tls
        .as_ref()
        .and_then(|tls| tls.clients.as_ref());
    if let Some(tls) = registry.tls.clone().filter(|_| authorities.is_some()) {
        reloads.add("authorities of clients", move || {
            let tls = tls.clone();
            off_the_reactor(move || {
                tls.reload_authorities()?;
                Ok(Reloaded::Again)
            })
        });
    }
    let (switch, environment) = (Arc::new(logs.levels()), Arc::new(environment));
    let source = config.source.clone();
    reloads.add("log levels", move || {
        let (switch, environment) = (Arc::clone(&switch), Arc::clone(&environment));
        let source = source.clone();
        off_the_reactor(move || match Config::load_again(source, &environment)? {
            Again::Config(config) => {
                switch.set(telemetry::levels(&config.log))?;
                Ok(Reloaded::Again)
            }
            Again::Never(why) => Ok(Reloaded::Otherwise(why)),
        })
    });
    reloads
}

/// Does what waits for files, which on a volume of the network may be long.
async fn off_the_reactor(
    step: impl FnOnce() -> Result<Reloaded, ReloadError> + Send + 'static,
) -> Result<Reloaded, ReloadError> {
    spawn_blocking(step).await?
}

/// What encrypts connections, from the files that the configuration names.
fn tls(config: &Config) -> Result<Option<Acceptor>, ConfigError> {
    let Some(tls) = &config.http.tls else {
        return Ok(None);
    };
    let acceptor = Acceptor::new(tls, config.http.http2);
    acceptor
        .map(Some)
        .map_err(|error| error.in_configuration(tls, &config.resolved))
}

fn engine(config: &Config) -> Result<Engine, Failure> {
    let engine = Engine::builder()
        .deletes(config.storage.deletes)
        .references(references(&config.validation))
        .urls(urls(&config.validation))
        .manifests(classes(&config.classes))
        .limits(limits(config));
    Ok(match &config.storage.driver {
        Driver::Filesystem { root, .. } => {
            let store = FsStorage::open(root)?;
            engine
                .blobs(store.blobs())
                .metadata(store.metadata())
                .build()
        }
        Driver::Inmemory => {
            let store = MemoryStorage::new();
            engine
                .blobs(store.blobs())
                .metadata(store.metadata())
                .build()
        }
    })
}

fn references(validation: &Validation) -> ReferencePolicy {
    match (validation.references, &validation.indexes) {
        (References::None, _) => ReferencePolicy::Nothing,
        (References::All, Indexes::All) => ReferencePolicy::Everything,
        (References::All, Indexes::None) => ReferencePolicy::Images,
        (References::All, Indexes::List(platforms)) => {
            ReferencePolicy::Platforms(platforms.clone())
        }
    }
}

fn urls(validation: &Validation) -> UrlPolicy {
    let (allow, deny) = (validation.urls_allow.clone(), validation.urls_deny.clone());
    UrlPolicy::new(move |url| {
        let matches = |patterns: &[regex::Regex]| patterns.iter().any(|p| p.is_match(url));
        (allow.is_empty() || matches(&allow)) && !matches(&deny)
    })
}

/// The classes of images that may be pushed. As in Distribution, what is of no class that is known
/// is refused when there is a list, and indexes are of none.
fn classes(allowed: &[Class]) -> ManifestPolicy {
    const IMAGES: [&str; 2] = [
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.oci.image.config.v1+json",
    ];
    const PLUGIN: &str = "application/vnd.docker.plugin.v1+json";
    let allowed = allowed.to_vec();
    ManifestPolicy::new(move |document| {
        let Some(config) = document.config.as_ref().filter(|_| !allowed.is_empty()) else {
            return Ok(());
        };
        let media_type = config.media_type.as_ref().map_or("", |name| name.as_str());
        let class = if IMAGES.contains(&media_type) {
            Class::Image
        } else if media_type == PLUGIN {
            Class::Plugin
        } else {
            return Err(format!("unknown manifest class for {media_type}"));
        };
        if allowed.contains(&class) {
            return Ok(());
        }
        let class = match class {
            Class::Image => "image",
            Class::Plugin => "plugin",
        };
        Err(format!("registry does not allow {class} manifest"))
    })
}

fn limits(config: &Config) -> Limits {
    let mut limits = Limits::default();
    limits.repositories = config.catalog_entries;
    // Whoever asks for no page has all of them, as in Distribution.
    limits.tags = usize::MAX;
    limits
}

fn service(
    registry: Arc<dyn Registry>,
    config: &Config,
    log: Option<AccessLog>,
    health: Health,
    trusted: TrustedPeers,
) -> RegistryService<Root> {
    let http = &config.http;
    let asked = health.clone();
    let (catalog, tags) = (config.catalog_entries, config.tag_entries);
    let mut service = RegistryService::new(registry)
        .catalog_pages(PageSize::new(catalog.min(CATALOG_PAGE), catalog))
        .tag_pages(PageSize::new(usize::MAX, tags))
        .admission(move || asked.admit())
        .on_response(requests::told);
    if let Some(log) = log.clone() {
        service = service.on_end(move |exchange| requests::logged(exchange, &log));
    }
    if let Some(prefix) = &http.prefix {
        service = service.prefix(prefix);
    }
    // As in Distribution, `host` is said whatever `relativeurls` says.
    service = match &http.host {
        Some(host) => service.host(host),
        None => service.relative_locations(http.relative_urls.unwrap_or(true)),
    };
    if let Some(secret) = &http.secret {
        service = service.secret(secret.expose().as_bytes());
    }
    for (name, value) in &http.headers {
        service = service.header(name.clone(), value.clone());
    }
    if let Some(users) = users(config) {
        service = service.authenticator(users);
    }
    let root = Root::new(&http.headers, log, health);
    trusted.apply(service).fallback(root)
}

/// The users who may come in, if not everybody may. Their file is read here, so that what is wrong
/// with it is said at the start.
fn users(config: &Config) -> Option<Htpasswd> {
    let htpasswd = config.auth.as_ref()?;
    let users = Htpasswd::new(&htpasswd.path, &htpasswd.realm);
    // It says itself what it found; while there is nothing to read, nobody comes in.
    let _ = users.users();
    Some(users)
}
