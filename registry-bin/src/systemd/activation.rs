//! Sockets that were opened before this program was started, and passed to it.

use std::{env, fmt, io, net::TcpListener, os::unix::net::UnixListener};

use listenfd::ListenFd;

/// What the socket of the debug address is called (`FileDescriptorName=debug` in its unit).
const DEBUG: &str = "debug";

/// The sockets that were passed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Passed {
    /// For clients. It takes the place of `http.addr`.
    pub http: Option<Socket>,
    /// The one that is called `debug`. It takes the place of `http.debug.addr`.
    pub debug: Option<Socket>,
}

/// A socket that listens.
#[derive(Debug)]
#[non_exhaustive]
pub enum Socket {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a Unix socket, whose file is whoever opened it.
    Unix(UnixListener),
}

impl Passed {
    /// Takes over what `LISTEN_FDS` says was passed to this process, once. The variables are unset, so
    /// that nothing that it starts believes to be meant.
    ///
    /// It must be called before other threads run: they may be reading the environment.
    ///
    /// # Errors
    ///
    /// [`PassedError`] when it is not what this program listens on.
    pub fn take() -> Result<Self, PassedError> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut sockets = ListenFd::from_env();
        let mut passed = Self::default();
        for (at, name) in (0..sockets.len()).zip(names.split(':').chain(std::iter::repeat(""))) {
            let socket = socket(&mut sockets, at)?;
            let place = match name {
                DEBUG => &mut passed.debug,
                _ => &mut passed.http,
            };
            if place.replace(socket).is_some() {
                return Err(PassedError::Several {
                    debug: name == DEBUG,
                });
            }
        }
        Ok(passed)
    }
}

fn socket(sockets: &mut ListenFd, at: usize) -> Result<Socket, PassedError> {
    let taken = match sockets.take_tcp_listener(at) {
        Ok(socket) => socket.map(Socket::Tcp),
        Err(_) => sockets
            .take_unix_listener(at)
            .map_err(|source| PassedError::NoListener { source })?
            .map(Socket::Unix),
    };
    let source = || io::ErrorKind::NotFound.into();
    taken.ok_or_else(|| PassedError::NoListener { source: source() })
}

/// Sockets that this program cannot serve on.
#[derive(Debug)]
#[non_exhaustive]
pub enum PassedError {
    /// It is neither TCP nor a Unix stream.
    NoListener {
        /// What it is.
        source: io::Error,
    },
    /// There is more than one for the same purpose.
    Several {
        /// Whether they are for the debug address.
        debug: bool,
    },
}

impl fmt::Display for PassedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener { .. } => f.write_str(
                "a socket that the service manager passed cannot be served; its unit needs \
                 ListenStream= with a port or the path of a socket",
            ),
            Self::Several { debug: false } => f.write_str(
                "the service manager passed several sockets for clients, where one can be served; \
                 keep one ListenStream=, and give that of the debug address a unit of its own with \
                 FileDescriptorName=debug",
            ),
            Self::Several { debug: true } => f.write_str(
                "the service manager passed several sockets that are called debug, where one can \
                 be served; keep one ListenStream= in that unit",
            ),
        }
    }
}

impl std::error::Error for PassedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoListener { source } => Some(source),
            Self::Several { .. } => None,
        }
    }
}
