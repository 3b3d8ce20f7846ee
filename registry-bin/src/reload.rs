//! SIGHUP: what can be read again while the registry serves is read again.

use std::{error::Error, fmt, io};

use futures_core::future::BoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

use crate::{causes, systemd::Notifier};

/// Why something could not be read again.
pub type ReloadError = Box<dyn Error + Send + Sync>;

/// What came of reading something again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reloaded {
    /// It holds now.
    Again,
    /// It is not read at once, or not at all, and nothing is wrong: so much is to be said of it.
    Otherwise(String),
}

type Step = Box<dyn FnMut() -> BoxFuture<'static, Result<Reloaded, ReloadError>> + Send>;

/// SIGHUP, from now on caught: before, it ends the process.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Catches it.
    ///
    /// # Errors
    ///
    /// When the operating system does not allow it.
    pub fn catch() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// The next one. Several that come before it is awaited are one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// What is read again, in the order in which it was added.
#[derive(Default)]
pub struct Reloads(Vec<(&'static str, Step)>);

impl Reloads {
    /// Nothing, so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds something. When `step` fails, what it had read before must go on to hold.
    pub fn add<F>(&mut self, what: &'static str, mut step: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = Result<Reloaded, ReloadError>> + Send + 'static,
    {
        self.0.push((what, Box::new(move || Box::pin(step()))));
    }

    /// Reads everything again on each SIGHUP, and tells the service manager. It never returns.
    pub async fn run(&mut self, hangups: &mut Hangups, notifier: &Notifier) {
        loop {
            hangups.next().await;
            notifier.reloading();
            self.reload().await;
            notifier.ready();
        }
    }

    /// Reads everything again, once. What fails is logged and holds nothing else up.
    async fn reload(&mut self) {
        info!("SIGHUP: reading again what can be");
        for (what, step) in &mut self.0 {
            match step().await {
                Ok(Reloaded::Again) => info!("{what}: read again"),
                Ok(Reloaded::Otherwise(said)) => info!("{what}: {said}"),
                Err(failed) => error!(
                    causes = causes::causes_on_a_line(&*failed),
                    "{what}: could not be read again, what held before goes on to hold: {failed}"
                ),
            }
        }
    }
}

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(what, _)| what);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsString,
        future::ready,
        os::unix::net::UnixDatagram,
        process::{self, Command},
        time::Duration,
    };

    use tokio::sync::mpsc;

    use super::*;
    use crate::config::Environment;

    #[tokio::test(flavor = "multi_thread")]
    async fn each_hangup_reads_everything_again_and_a_failure_stops_nothing() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("the directory can be written");
        manager
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("it is a time");
        let variable = (OsString::from("NOTIFY_SOCKET"), path.into_os_string());
        let notifier = Notifier::find(&Environment::new([variable]));

        let (ran, mut runs) = mpsc::unbounded_channel();
        let mut reloads = Reloads::new();
        for (what, fails) in [("certificate", true), ("users", false)] {
            let ran = ran.clone();
            reloads.add(what, move || {
                ran.send(what).expect("the test listens");
                let failed = || ReloadError::from("it is gone");
                ready(if fails {
                    Err(failed())
                } else {
                    Ok(Reloaded::Again)
                })
            });
        }
        assert_eq!(format!("{reloads:?}"), r#"["certificate", "users"]"#);
        let mut hangups = Hangups::catch().expect("it can be caught");
        let running = tokio::spawn(async move { reloads.run(&mut hangups, &notifier).await });
        for _ in 0..2 {
            let own = process::id().to_string();
            let sent = Command::new("kill").args(["-s", "HUP", &own]).status();
            assert!(sent.expect("kill is everywhere").success());
            assert_eq!(runs.recv().await, Some("certificate"));
            assert_eq!(runs.recv().await, Some("users"));
            let mut said = String::new();
            for _ in 0..2 {
                let mut buffer = [0; 256];
                let length = manager.recv(&mut buffer).expect("something was sent");
                said.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
            assert!(said.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{said}");
            assert!(said.ends_with("\nREADY=1\n"), "{said}");
        }
        running.abort();
    }
}
