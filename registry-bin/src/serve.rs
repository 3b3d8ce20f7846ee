//! Serving: from the first connection to the last, and the signals that end it.

use std::{future::pending, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use registry_core::{
    Engine, SystemEntropy,
    runtime::{Runtime, TokioRuntime},
    server::hyper::{self, Server},
};
use tokio::{runtime, sync::oneshot, task::JoinHandle};
use tracing::{debug, info, warn};

use crate::{
    assemble::Assembled,
    config::{Config, Driver, UploadPurging, display_duration},
    failure::Failure,
    files,
    health::{self, Health, HealthService},
    listen::Listener,
    reload::{Hangups, Reloads},
    scheduler,
    signal::Signals,
    supervise::keep_running,
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
    let debug = around.debug.take();
    let debug = debug.map(|listener| debug_address(listener, registry.health.clone()));
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
            (Listener::Unix(listener), None) => server.serve(listener, service, end).await,
            (Listener::Unix(listener), Some(tls)) => {
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
    // So that another registry can take its addresses meanwhile.
    if let Some(debug) = debug {
        debug.abort();
    }
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

/// Starts what runs beside the requests, and goes on whatever becomes of it.
fn beside(registry: &Assembled, config: &Config, around: &mut Surroundings) {
    if let Some(settings) = registry.upload_purging {
        let engine = registry.engine.clone();
        keep("upload purging", engine, move |engine| {
            Box::pin(purge_uploads(engine, settings))
        });
    }
    if let Some(tls) = registry.tls.clone() {
        keep("TLS: looking after the certificate", tls, |tls| {
            Box::pin(tls.run())
        });
    }
    if let Some(check) = config.health {
        let state = (registry.health.clone(), registry.engine.clone());
        keep(
            "health: asking the storage",
            state,
            move |(health, engine)| {
                let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime);
                let ask = || engine.check();
                Box::pin(health::poll(health.clone(), check.interval, runtime, ask))
            },
        );
    }
    if let Some(reloads) = around.reloads.take() {
        let state = (reloads, around.notifier.clone());
        keep("SIGHUP: reading again", state, |state| {
            let ((reloads, hangups), notifier) = state;
            Box::pin(reloads.run(hangups, notifier))
        });
    }
    if let Some(watchdog) = around.watchdog.take() {
        let notifier = around.notifier.clone();
        keep("the watchdog", notifier, move |notifier| {
            Box::pin(watchdog.keep(notifier.clone(), Arc::new(TokioRuntime)))
        });
    }
}

fn keep<S: Send + 'static>(
    what: &'static str,
    state: S,
    task: impl for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
) -> JoinHandle<()> {
    let runtime = Arc::new(TokioRuntime);
    tokio::spawn(async move { keep_running(what, runtime, state, task).await })
}

/// Tells at the debug address how the registry is, until that is aborted.
fn debug_address(listener: Listener, health: Health) -> JoinHandle<()> {
    let service = HealthService::new(health);
    keep("health: the debug address", listener, move |listener| {
        let service = service.clone();
        Box::pin(serve_health(listener, service))
    })
}

async fn serve_health(listener: &mut Listener, service: HealthService) {
    let never = pending();
    match listener {
        Listener::Tcp(listener, _) => Server::new().serve(Lent(listener), service, never).await,
        Listener::Unix(listener) => Server::new().serve(Lent(listener), service, never).await,
    };
}

/// A listener that is there also after whoever serves on it.
struct Lent<'a, L>(&'a mut L);

impl<L: hyper::Listener> hyper::Listener for Lent<'_, L> {
    type Connection = L::Connection;

    async fn accept(&mut self) -> io::Result<(Self::Connection, Option<SocketAddr>)> {
        self.0.accept().await
    }

    fn client_certificate(&self, connection: &Self::Connection) -> Option<Bytes> {
        self.0.client_certificate(connection)
    }

    fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }
}

async fn purge_uploads(engine: &Engine, settings: UploadPurging) {
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime);
    let purge = || purge_once(engine, settings);
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
