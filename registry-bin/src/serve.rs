//! Serving: from the first connection to the last, and the signals that end it.

use std::{io, sync::Arc};

use registry_core::{
    Engine, SystemEntropy,
    runtime::{Runtime, TokioRuntime},
    server::hyper::Server,
};
use tokio::{runtime, sync::oneshot};
use tracing::{debug, info, warn};

use crate::{
    assemble::Assembled,
    config::{Config, Driver, UploadPurging, display_duration},
    failure::Failure,
    files,
    health::{self, HealthService},
    listen::Listener,
    reload::{Hangups, Reloads},
    scheduler,
    signal::Signals,
    systemd::{Notifier, Watchdog},
    tls::TlsListener,
};

/// The runtime that everything runs on. Operations on files run on as many threads as
/// `storage.filesystem.maxthreads` says.
///
/// # Errors
///
/// When the operating system gives no threads.
pub fn runtime(config: &Config) -> io::Result<runtime::Runtime> {
    let mut builder = runtime::Builder::new_multi_thread();
    if let Driver::Filesystem { threads, .. } = config.storage.driver {
        builder.max_blocking_threads(threads);
    }
    builder.enable_all().build()
}

/// What serving needs beside the registry.
#[derive(Debug)]
#[non_exhaustive]
pub struct Surroundings {
    /// Where clients connect.
    pub listener: Listener,
    /// Where the operator asks for health, if anywhere.
    pub debug: Option<Listener>,
    /// What ends it.
    pub signals: Signals,
    /// What can be read again, and what has it read; `None` once that runs.
    pub reloads: Option<(Reloads, Hangups)>,
    /// The service manager.
    pub notifier: Notifier,
    /// How often the service manager wants to hear of us, if it does.
    pub watchdog: Option<Watchdog>,
}

impl Surroundings {
    /// The surroundings with that listener, and that end.
    pub fn new(listener: Listener, signals: Signals) -> Self {
        Self {
            listener,
            debug: None,
            signals,
            reloads: None,
            notifier: Notifier::default(),
            watchdog: None,
        }
    }
}

/// Serves until SIGTERM or SIGINT, then lets requests under way end, at most for as long as the
/// configuration says.
///
/// # Errors
///
/// [`Failure::Signal`] when a second signal came meanwhile.
pub async fn until_signalled(
    registry: Assembled,
    config: &Config,
    mut around: Surroundings,
) -> Result<(), Failure> {
    let drain = config.http.drain;
    beside(&registry, config, &mut around);
    let server = Server::new()
        .connections(files::raise_limit())
        .drain(drain)
        .http2(registry.http2);
    let server = server.on_error(|error| {
        debug!(error, "a connection failed");
    });
    let (ask, asked) = oneshot::channel::<()>();
    let end = async { drop(asked.await) };
    let (service, listener) = (registry.service, around.listener);
    let serving = async {
        match (listener, registry.tls) {
            (Listener::Tcp(listener, _), None) => server.serve(listener, service, end).await,
            (Listener::Tcp(listener, _), Some(tls)) => {
                let listener = TlsListener::new(listener, tls);
                server.serve(listener, service, end).await
            }
            (Listener::Unix(listener, _file), None) => server.serve(listener, service, end).await,
            (Listener::Unix(listener, _file), Some(tls)) => {
                let listener = TlsListener::new(listener, tls);
                server.serve(listener, service, end).await
            }
        }
    };
    let mut serving = std::pin::pin!(serving);
    around.notifier.ready();

    let stop = tokio::select! {
        stop = around.signals.next() => stop,
        _ = &mut serving => return Ok(()),
    };
    let bound = display_duration(drain);
    info!("{}: draining, for at most {bound}", stop.name());
    around.notifier.stopping(drain);
    drop(ask);
    tokio::select! {
        stop = around.signals.next() => Err(Failure::Signal(stop)),
        drained = &mut serving => {
            if drained {
                info!("stopped, every request was answered");
            } else {
                warn!("stopped, requests still under way after {bound} were cut");
            }
            Ok(())
        }
    }
}

/// Starts what runs beside the requests.
fn beside(registry: &Assembled, config: &Config, around: &mut Surroundings) {
    if let Some(settings) = registry.upload_purging {
        tokio::spawn(purge_uploads(registry.engine.clone(), settings));
    }
    if let Some(tls) = registry.tls.clone() {
        tokio::spawn(async move { tls.run().await });
    }
    if let Some(check) = config.health {
        let (health, engine) = (registry.health.clone(), registry.engine.clone());
        let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime);
        tokio::spawn(async move {
            health::poll(health, check.interval, runtime, || engine.check()).await;
        });
    }
    if let Some(listener) = around.debug.take() {
        let service = HealthService::new(registry.health.clone());
        tokio::spawn(async move {
            let never = std::future::pending();
            match listener {
                Listener::Tcp(listener, _) => Server::new().serve(listener, service, never).await,
                Listener::Unix(listener, _file) => {
                    Server::new().serve(listener, service, never).await
                }
            }
        });
    }
    if let Some((reloads, hangups)) = around.reloads.take() {
        tokio::spawn(reloads.run(hangups, around.notifier.clone()));
    }
    if let Some(watchdog) = around.watchdog.take() {
        tokio::spawn(watchdog.keep(around.notifier.clone(), Arc::new(TokioRuntime)));
    }
}

async fn purge_uploads(engine: Engine, settings: UploadPurging) {
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime);
    let purge = || purge_once(&engine, settings);
    scheduler::every(settings.interval, runtime, &SystemEntropy, purge).await;
}

async fn purge_once(engine: &Engine, settings: UploadPurging) {
    let report = match engine.purge_uploads(settings.age, settings.dry_run).await {
        Ok(report) => report,
        Err(error) => {
            warn!(
                error = &error as &dyn std::error::Error,
                "uploads could not be purged"
            );
            return;
        }
    };
    for (upload, error) in &report.failed {
        let (repository, id) = (&upload.repository, &upload.id);
        warn!(%repository, %id, %error, "an upload could not be purged");
    }
    let done = if settings.dry_run {
        "would be purged"
    } else {
        "purged"
    };
    let (purged, kept) = (report.purged.len(), report.kept);
    if purged == 0 {
        debug!("uploads: none {done}, {kept} kept");
    } else {
        info!("uploads: {purged} {done}, {kept} kept");
    }
}
