//! Where clients connect: TCP addresses as Go writes them, and Unix sockets.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::{config::Listen, failure::Failure, systemd::activation::Socket};

/// A bound address.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener, SocketAddr),
    /// A Unix socket. Its file is removed at the end, if it was made here.
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    ///
    /// [`BindError`], with what to do about it.
    pub async fn bind(listen: &Listen) -> Result<Self, BindError> {
        let bound = match listen {
            Listen::Tcp(address) => tcp(address).await,
            Listen::Unix(path) => unix(path).await,
        };
        bound.map_err(|source| BindError {
            listen: listen.clone(),
            source,
        })
    }

    /// The socket that a service manager passed, or else the address, bound.
    ///
    /// # Errors
    ///
    /// [`Failure`] when there is neither.
    pub async fn of(passed: Option<Socket>, listen: &Listen) -> Result<Self, Failure> {
        match passed {
            Some(socket) => Ok(Self::passed(socket)?),
            None => Ok(Self::bind(listen).await?),
        }
    }

    /// The address of the port; `None` for a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, address) => Some(address.ip()),
            Self::Unix(..) => None,
        }
    }

    /// Takes over a socket that was opened by a service manager.
    ///
    /// # Errors
    ///
    /// When the operating system does not allow it.
    pub fn passed(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?, address))
            }
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new("(unnamed)"));
                let file = SocketFile(path.to_owned(), Owner::Manager);
                Ok(Self::Unix(UnixListener::from_std(listener)?, file))
            }
        }
    }
}

impl Listener {
    /// Where clients connect, as they would write it.
    pub fn address(&self, encrypted: bool) -> String {
        let scheme = if encrypted { "https" } else { "http" };
        match self {
            Self::Tcp(_, address) => format!("{scheme}://{address}"),
            Self::Unix(_, SocketFile(path, _)) => format!("unix:{}", path.display()),
        }
    }
}

/// The file of a Unix socket: removed when this is dropped, if it was made here.
#[derive(Debug)]
pub struct SocketFile(PathBuf, Owner);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Manager,
    Us,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.1 == Owner::Us {
            drop(std::fs::remove_file(&self.0));
        }
    }
}

/// An address that cannot be bound.
#[derive(Debug)]
#[non_exhaustive]
pub struct BindError {
    listen: Listen,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix = match &self.listen {
            Listen::Tcp(address) => {
                write!(f, "cannot listen on {address}")?;
                false
            }
            Listen::Unix(path) => {
                write!(f, "cannot listen on {}", path.display())?;
                true
            }
        };
        write!(f, ": {}", self.source)?;
        f.write_str(match (self.source.kind(), unix) {
            (io::ErrorKind::AddrInUse, _) => {
                "; stop what listens there, or choose another http.addr (REGISTRY_HTTP_ADDR)"
            }
            (io::ErrorKind::PermissionDenied, false) => {
                "; ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): grant it, or choose \
                 another http.addr"
            }
            (io::ErrorKind::PermissionDenied, true) => {
                "; let the user of the registry write the directory, or choose another http.addr"
            }
            (io::ErrorKind::AddrNotAvailable, _) => {
                "; no interface of this host has that address: use one that it has, or :PORT for \
                 every interface"
            }
            (io::ErrorKind::NotFound, true) => "; make the directory, or choose another http.addr",
            _ => "",
        })
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

async fn tcp(address: &str) -> io::Result<Listener> {
    let listener = match address.strip_prefix(':') {
        None => TcpListener::bind(address).await?,
        // As in Go: IPv6's wildcard takes IPv4 too; without IPv6, that of IPv4.
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await?
            }
            bound => bound?,
        },
    };
    let address = listener.local_addr()?;
    Ok(Listener::Tcp(listener, address))
}

async fn unix(path: &Path) -> io::Result<Listener> {
    // What a killed registry left behind is a socket that nobody answers.
    let is_socket = |meta: std::fs::Metadata| meta.file_type().is_socket();
    if std::fs::symlink_metadata(path).is_ok_and(is_socket)
        && UnixStream::connect(path).await.is_err()
    {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    Ok(Listener::Unix(
        listener,
        SocketFile(path.to_owned(), Owner::Us),
    ))
}
