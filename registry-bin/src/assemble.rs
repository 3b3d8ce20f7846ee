//! The one place where stores, engine, layers and HTTP meet: what a configuration is made of.

use std::{error::Error as _, sync::Arc};

use registry_core::{
    Clock, Engine, Registry, SystemClock,
    engine::{Limits, ReferencePolicy, UrlPolicy},
    layer::ReadOnly,
    protocol::PageSize,
    server::{Exchange, RegistryService},
};
use registry_storage::{fs::FsStorage, memory::MemoryStorage};
use tracing::error;

use crate::{
    config::{Config, Driver, Indexes, References, UploadPurging, Validation},
    failure::Failure,
    health::Health,
    root::Root,
    telemetry::{AccessFormat, AccessLine},
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
}

/// Opens the stores and puts everything around them.
///
/// # Errors
///
/// When the stores cannot be opened.
pub fn registry(config: &Config) -> Result<Assembled, Failure> {
    let engine = engine(config)?;
    let registry: Arc<dyn Registry> = if config.storage.read_only {
        Arc::new(ReadOnly::new(engine.clone()))
    } else {
        Arc::new(engine.clone())
    };
    let health = Health::new();
    let trusted = TrustedPeers::default();
    Ok(Assembled {
        service: service(registry, config, health.clone(), trusted),
        health,
        // Nothing is purged from what is read-only.
        upload_purging: config
            .storage
            .upload_purging
            .filter(|_| !config.storage.read_only),
        engine,
    })
}

fn engine(config: &Config) -> Result<Engine, Failure> {
    let engine = Engine::builder()
        .deletes(config.storage.deletes)
        .references(references(&config.validation))
        .urls(urls(&config.validation))
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

fn limits(config: &Config) -> Limits {
    let mut limits = Limits::default();
    limits.repositories = config.catalog_entries;
    limits.tags = config.tag_entries;
    limits
}

fn service(
    registry: Arc<dyn Registry>,
    config: &Config,
    health: Health,
    trusted: TrustedPeers,
) -> RegistryService<Root> {
    let http = &config.http;
    let log = config.log.access.then(AccessFormat::default);
    let asked = health.clone();
    let (catalog, tags) = (config.catalog_entries, config.tag_entries);
    let mut service = RegistryService::new(registry)
        .catalog_pages(PageSize::new(catalog.min(CATALOG_PAGE), catalog))
        .tag_pages(PageSize::new(tags, tags))
        .admission(move || asked.admit())
        .on_response(move |exchange| watch(exchange, log));
    if let Some(prefix) = &http.prefix {
        service = service.prefix(prefix);
    }
    // An explicit `relativeurls: true` wins over `host`, which only says what absolute ones are.
    match (&http.host, http.relative_urls) {
        (Some(host), None | Some(false)) => service = service.host(host),
        (_, relative) => service = service.relative_locations(relative.unwrap_or(true)),
    }
    if let Some(secret) = &http.secret {
        service = service.secret(secret.expose().as_bytes());
    }
    for (name, value) in &http.headers {
        service = service.header(name.clone(), value.clone());
    }
    let root = Root::new(&http.headers, log, health);
    trusted.apply(service).fallback(root)
}

/// A line in the access log; and of what was this registry's fault, all that is known in the other.
fn watch(exchange: &Exchange<'_>, log: Option<AccessFormat>) {
    let context = exchange.context;
    if let Some(format) = log {
        let (method, path) = (exchange.method.as_str(), exchange.uri.path());
        let status = exchange.status.as_u16();
        let mut line = AccessLine::new(SystemClock.now(), method, path, status);
        line.client = context.client;
        line.user = context.principal.name.as_deref();
        line.bytes = exchange.length;
        line.took = Some(exchange.took);
        line.request_id = context.request_id.as_deref();
        line.of_request(exchange.version, exchange.headers)
            .print(format);
    }
    if let Some(failed) = exchange.error.filter(|_| exchange.status.is_server_error()) {
        let causes = std::iter::successors(failed.source(), |error| (*error).source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        error!(
            request = context.request_id.as_deref(),
            method = exchange.method.as_str(),
            path = exchange.uri.path(),
            status = exchange.status.as_u16(),
            causes = causes.join(": "),
            "{failed}"
        );
    }
}
