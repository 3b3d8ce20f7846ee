//! Serving: from the first connection to the last, and the signals that end it.

use std::{io, sync::Arc, time::Duration};

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
    listen::Listener,
    scheduler,
    signal::Signals,
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

/// Serves until SIGTERM or SIGINT, then lets requests under way end, at most for `drain`.
///
/// # Errors
///
/// [`Failure::Signal`] when a second signal came meanwhile.
pub async fn until_signalled(
    registry: Assembled,
    listener: Listener,
    mut signals: Signals,
    drain: Duration,
) -> Result<(), Failure> {
    if let Some(settings) = registry.upload_purging {
        tokio::spawn(purge_uploads(registry.engine, settings));
    }
    let server = Server::new().drain(drain).http2(registry.http2);
    let server = server.on_error(|error| {
        debug!(error, "a connection failed");
    });
    if let Some(tls) = registry.tls.clone() {
        tokio::spawn(async move { tls.run().await });
    }
    let (ask, asked) = oneshot::channel::<()>();
    let end = async { drop(asked.await) };
    let service = registry.service;
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

    let stop = tokio::select! {
        stop = signals.next() => stop,
        _ = &mut serving => return Ok(()),
    };
    let bound = display_duration(drain);
    info!("{}: draining, for at most {bound}", stop.name());
    drop(ask);
    tokio::select! {
        stop = signals.next() => Err(Failure::Signal(stop)),
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
