//! Telling the service manager how far the program is (`sd_notify(3)`).

use std::{
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
    process,
    sync::Arc,
    time::Duration,
};

use registry_core::runtime::Runtime;
use rustix::time::{ClockId, clock_gettime};
use tracing::debug;

use crate::config::Environment;

/// How much longer than the drain the end may take: what follows it is short.
const AFTER_DRAIN: Duration = Duration::from_secs(10);

/// Tells the service manager, if there is one. A message that does not arrive is logged and no more:
/// the registry serves without it.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<Arc<Manager>>);

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// Finds the service manager by `NOTIFY_SOCKET`.
    pub fn find(environment: &Environment) -> Self {
        let Some(socket) = environment.value("NOTIFY_SOCKET") else {
            return Self::default();
        };
        match Manager::at(socket) {
            Ok(manager) => Self(Some(Arc::new(manager))),
            Err(error) => {
                debug!(%error, "the service manager cannot be told anything: NOTIFY_SOCKET");
                Self::default()
            }
        }
    }

    /// Whether there is a service manager.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// It serves: after the start, and after each reload.
    pub fn ready(&self) {
        self.send("READY=1\n");
    }

    /// It reads again what can be read again; [`ready`](Self::ready) follows.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n"));
    }

    /// It ends, after a drain of at most `drain`, for which the manager must wait, whatever its
    /// `TimeoutStopSec=` says.
    pub fn stopping(&self, drain: Duration) {
        let wait = drain.saturating_add(AFTER_DRAIN).as_micros();
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        self.send(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={wait}\n"));
    }

    /// It is alive.
    fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    fn send(&self, state: &str) {
        let Some(Manager { socket, address }) = self.0.as_deref() else {
            return;
        };
        // Not connected: a manager that starts again has the same address, but another socket.
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            debug!(%error, "the service manager could not be told: {}", state.trim_end());
        }
    }
}

/// How often the service manager must hear that the program is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog(Duration);

impl Watchdog {
    /// What `WATCHDOG_USEC` asks for, if `WATCHDOG_PID` does not name another process.
    pub fn find(environment: &Environment) -> Option<Self> {
        let number = |name| environment.value(name)?.parse::<u64>().ok();
        let pid = number("WATCHDOG_PID");
        let ours = pid.is_none_or(|pid| pid == u64::from(process::id()));
        let period = number("WATCHDOG_USEC").filter(|period| ours && *period > 0)?;
        Some(Self(Duration::from_micros(period)))
    }

    /// Says so twice in each period. It never returns.
    pub async fn keep(self, notifier: Notifier, runtime: Arc<dyn Runtime>) {
        loop {
            notifier.alive();
            runtime.sleep(self.0 / 2).await;
        }
    }
}

impl Manager {
    fn at(address: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A manager that reads nothing must not hold the registry up.
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        let address = parse(address)?;
        Ok(Self { socket, address })
    }
}

/// A path, or a name in Linux's abstract namespace behind an `@`.
fn parse(address: &str) -> io::Result<SocketAddr> {
    if address.starts_with('/') {
        return SocketAddr::from_pathname(address);
    }
    #[cfg(target_os = "linux")]
    if let Some(name) = address.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt as _;
        return SocketAddr::from_abstract_name(name);
    }
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use registry_core::runtime::TokioRuntime;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        Environment::new(pairs.iter().map(pair))
    }

    fn received(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("something was sent");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn listening(address: &SocketAddr) -> UnixDatagram {
        let manager = UnixDatagram::bind_addr(address).expect("nobody has that address");
        let patience = Some(Duration::from_secs(60));
        manager.set_read_timeout(patience).expect("it is a time");
        manager
    }

    #[test]
    fn the_manager_hears_of_each_step() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("notify");
        let path = path.to_str().expect("it is text");
        let name = format!("@registry-test-{}", process::id());
        for address in [path, &name] {
            let manager = listening(&parse(address).expect("it is an address"));
            let notifier = Notifier::find(&environment(&[("NOTIFY_SOCKET", address)]));
            assert!(notifier.is_some());
            notifier.ready();
            assert_eq!(received(&manager), "READY=1\n");
            notifier.reloading();
            let said = received(&manager);
            let rest = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
            let time = rest.and_then(|rest| rest.trim_end().parse::<u64>().ok());
            assert!(time.is_some_and(|time| time > 0), "{said}");
            notifier.stopping(Duration::from_secs(3600));
            let expected = "STOPPING=1\nEXTEND_TIMEOUT_USEC=3610000000\n";
            assert_eq!(received(&manager), expected);
        }
    }

    #[test]
    fn without_a_manager_nothing_is_told() {
        assert!(!Notifier::find(&environment(&[])).is_some());
        for address in ["", "relative", "vsock:2:1234"] {
            let notifier = Notifier::find(&environment(&[("NOTIFY_SOCKET", address)]));
            assert!(!notifier.is_some(), "{address}");
            notifier.ready();
        }
        let gone = environment(&[("NOTIFY_SOCKET", "/nowhere/at/all")]);
        Notifier::find(&gone).stopping(Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_twice_in_a_period() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("the directory can be written");
        manager.set_nonblocking(true).expect("it is a socket");
        let path = path.to_str().expect("it is text");
        let environment = environment(&[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "4000000")]);
        let watchdog = Watchdog::find(&environment).expect("it is asked for");
        let keeping = watchdog.keep(Notifier::find(&environment), Arc::new(TokioRuntime));
        tokio::select! {
            () = keeping => panic!("it ended"),
            () = tokio::time::sleep(Duration::from_secs(11)) => {}
        }
        // At 0, 2, 4, 6, 8 and 10 s.
        for _ in 0..6 {
            assert_eq!(received(&manager), "WATCHDOG=1\n");
        }
        assert!(manager.recv(&mut [0; 9]).is_err());
    }

    #[test]
    fn whose_watchdog_it_is() {
        let own = process::id().to_string();
        let second = Some(Watchdog(Duration::from_secs(1)));
        let rows: [(&[_], _); 6] = [
            (&[], None),
            (&[("WATCHDOG_USEC", "1000000")], second),
            (
                &[("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", &own)],
                second,
            ),
            (&[("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "1")], None),
            (&[("WATCHDOG_USEC", "0")], None),
            (&[("WATCHDOG_USEC", "soon")], None),
        ];
        for (variables, expected) in rows {
            assert_eq!(
                Watchdog::find(&environment(variables)),
                expected,
                "{variables:?}"
            );
        }
    }
}
