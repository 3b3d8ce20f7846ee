//! What a start says, in plain lines: what is on, what is off, where things are.

use tracing::{info, warn};

use crate::{
    cli,
    config::{
        Certificate, ClientAuth, Config, Driver, Environment, Htpasswd, Http, Indexes, References,
        Storage, StorageHealth, Tls, TlsVersion, Validation, display_duration,
    },
    listen::Listener,
    warnings::{self, Exposure},
};

/// Says what the configuration means, before anything is opened.
pub fn configuration(config: &Config) {
    info!("{}", cli::version());
    for warning in &config.warnings {
        warn!("{warning}");
    }
    for line in lines(config) {
        info!("{line}");
    }
}

/// Says where clients connect, once they can, and what of all that is unusual or dangerous.
pub fn listening(
    listener: &Listener,
    debug: Option<&Listener>,
    config: &Config,
    environment: &Environment,
) {
    for warning in warnings::find(&exposure(listener, debug, config, environment)) {
        warn!("{warning}");
    }
    if let Some(listener) = debug {
        let address = listener.address(false);
        info!("health: at {address}/debug/health");
    }
    info!(
        "listening on {}",
        listener.address(config.http.tls.is_some())
    );
}

fn exposure(
    listener: &Listener,
    debug: Option<&Listener>,
    config: &Config,
    environment: &Environment,
) -> Exposure {
    let directory = match &config.storage.driver {
        Driver::Filesystem { root, .. } => Some(root.clone()),
        Driver::Inmemory => None,
    };
    Exposure {
        address: listener.ip(),
        debug: debug.and_then(Listener::ip),
        authenticated: config.auth.is_some(),
        encrypted: config.http.tls.is_some(),
        deletes: config.storage.deletes,
        read_only: config.storage.read_only,
        directory,
        temporary: environment.value("TMPDIR").map(Into::into),
        trusts_everybody: config.http.trusted.trusts_everybody(),
    }
}

fn lines(config: &Config) -> Vec<String> {
    let mut lines = vec![
        format!("configuration: {}", config.source),
        storage(&config.storage),
        cache(&config.storage.driver).to_owned(),
        deletes(config),
        format!("read-only: {}", on(config.storage.read_only)),
        validation(&config.validation),
        upload_purging(&config.storage),
        health(config.health),
        authentication(config.auth.as_ref()),
    ];
    lines.extend(http(&config.http));
    lines.push(match (config.log.access, &config.log.access_file) {
        (None, _) => "access log: off".to_owned(),
        (Some(_), None) => "access log: on standard output".to_owned(),
        (Some(_), Some(file)) => format!("access log: in {}", file.display()),
    });
    lines
}

fn authentication(auth: Option<&Htpasswd>) -> String {
    match auth {
        None => "authentication: none, whoever can connect may do all that is on".to_owned(),
        Some(Htpasswd { realm, path, .. }) => {
            format!(
                "authentication: htpasswd, users in {}, realm {realm:?}",
                path.display()
            )
        }
    }
}

fn storage(storage: &Storage) -> String {
    match &storage.driver {
        Driver::Filesystem { root, .. } => format!("storage: filesystem, in {}", root.display()),
        Driver::Inmemory => "storage: memory, gone when this process ends".to_owned(),
    }
}

/// What Distribution's settings of caches come to: no driver has a cache that can be switched.
fn cache(driver: &Driver) -> &'static str {
    match driver {
        Driver::Filesystem { .. } => {
            "cache: on, in this process and bounded, checked against the disk; no Redis \
             (storage.cache changes nothing)"
        }
        Driver::Inmemory => {
            "cache: off, the storage is memory itself; no Redis (storage.cache changes nothing)"
        }
    }
}

fn deletes(config: &Config) -> String {
    let (deletes, file) = (config.storage.deletes, config.source.is_file());
    let reason = match (deletes, file) {
        (true, false) => "storage.delete.enabled; the default without a configuration file is on",
        (false, true) => "storage.delete.enabled; the default with a configuration file is off",
        (true, true) | (false, false) => "storage.delete.enabled",
    };
    format!("deletes: {} ({reason})", on(deletes))
}

fn validation(validation: &Validation) -> String {
    let references = match validation.references {
        References::All => "what a manifest refers to must be there",
        References::None => "what a manifest refers to need not be there",
    };
    let indexes = match (&validation.indexes, validation.references) {
        (_, References::None) | (Indexes::All, _) => "",
        (Indexes::List(_), _) => ", of an index the listed platforms",
        (Indexes::None, _) => ", of an index nothing",
    };
    let urls = match (
        validation.urls_allow.is_empty(),
        validation.urls_deny.is_empty(),
    ) {
        (true, true) => "any",
        _ => "those that the lists allow",
    };
    format!("validation: {references}{indexes}; URLs of layers: {urls}")
}

fn upload_purging(storage: &Storage) -> String {
    match storage.upload_purging {
        None => "upload purging: off".to_owned(),
        Some(purging) => format!(
            "upload purging: after {} without a byte, every {}{}",
            display_duration(purging.age),
            display_duration(purging.interval),
            if purging.dry_run {
                ", only said (dryrun)"
            } else {
                ""
            }
        ),
    }
}

fn http(http: &Http) -> Vec<String> {
    let mut lines = vec![tls(http.tls.as_ref())];
    if let Some(host) = &http.host {
        lines.push(format!("clients use {host}"));
    }
    if let Some(prefix) = &http.prefix {
        lines.push(format!("below the prefix {prefix}"));
    }
    lines.push(format!(
        "drain: {} after SIGTERM or SIGINT",
        display_duration(http.drain)
    ));
    lines
}

fn tls(tls: Option<&Tls>) -> String {
    let Some(tls) = tls else {
        return "TLS: off".to_owned();
    };
    let certificate = match &tls.certificate {
        Certificate::Files { certificate, .. } => {
            format!("certificate from {}", certificate.display())
        }
        Certificate::Acme(acme) => {
            let (hosts, cache) = (acme.hosts.join(", "), acme.cache.display());
            format!("certificates for {hosts} by ACME, kept in {cache}")
        }
    };
    let version = match tls.minimum {
        TlsVersion::Tls12 => "1.2",
        TlsVersion::Tls13 => "1.3",
    };
    let clients = match tls.clients.as_ref().map(|clients| clients.auth) {
        None => "not asked for",
        Some(ClientAuth::Request) => "asked for",
        Some(ClientAuth::RequireAny) => "required, of any authority",
        Some(ClientAuth::VerifyIfGiven) => "verified if there is one",
        Some(ClientAuth::RequireAndVerify) => "required and verified",
    };
    format!("TLS: on, {certificate}; version {version} at least; clients' certificates: {clients}")
}

fn health(check: Option<StorageHealth>) -> String {
    match check {
        None => "health: the storage is not asked".to_owned(),
        Some(StorageHealth {
            interval,
            threshold,
            ..
        }) => {
            let interval = display_duration(interval);
            format!(
                "health: the storage is asked every {interval}, {threshold} failures are one too many"
            )
        }
    }
}

fn on(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
