//! Where clients connect: TCP addresses as Go writes them, and Unix sockets.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket, UnixStream, lookup_host};

use crate::{config::Listen, failure::Failure, systemd::activation::Socket};

/// How many connections wait to be accepted, if the kernel allows as many (`net.core.somaxconn`). With
/// the 128 of the standard library, the rest of a crowd tries again after a second.
const BACKLOG: u32 = 4096;

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
    /// Binds the address, which is that of the setting `key`.
    ///
    /// # Errors
    ///
    /// [`BindError`], with what to do about it.
    pub async fn bind(listen: &Listen, key: &'static str) -> Result<Self, BindError> {
        let bound = match listen {
            Listen::Tcp(address) => tcp(address).await,
            Listen::Unix(path) => unix(path).await,
        };
        bound.map_err(|source| BindError {
            listen: listen.clone(),
            key,
            source,
        })
    }

    /// The socket that a service manager passed, or else the address of the setting `key`, bound.
    ///
    /// # Errors
    ///
    /// [`Failure`] when there is neither.
    pub async fn of(
        passed: Option<Socket>,
        listen: &Listen,
        key: &'static str,
    ) -> Result<Self, Failure> {
        match passed {
            Some(socket) => Ok(Self::passed(socket)?),
            None => Ok(Self::bind(listen, key).await?),
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
    key: &'static str,
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
        let key = self.key;
        match (self.source.kind(), unix) {
            (io::ErrorKind::AddrInUse, _) => {
                let variable = key.replace('.', "_").to_ascii_uppercase();
                write!(
                    f,
                    "; stop what listens there, or choose another {key} (REGISTRY_{variable})"
                )
            }
            (io::ErrorKind::PermissionDenied, false) => write!(
                f,
                "; ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): grant it, or choose \
                 another {key}"
            ),
            (io::ErrorKind::PermissionDenied, true) => write!(
                f,
                "; let the user of the registry write the directory, or choose another {key}"
            ),
            (io::ErrorKind::AddrNotAvailable, _) => write!(
                f,
                "; no interface of this host has that address: write one that it has in {key}, or \
                 :PORT for every interface"
            ),
            (io::ErrorKind::NotFound, true) => {
                write!(f, "; make the directory, or choose another {key}")
            }
            (_, false) => write!(f, "; choose another {key}"),
            (_, true) => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The two parts of an address as Go takes it: no host is every interface, and an address of IPv6
/// stands in brackets.
pub(crate) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    // Not `+1`, which a number may be.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits)?;
    if let Some(host) = host.strip_prefix('[') {
        let host = host.strip_suffix(']')?;
        let (bare, zone) = host.split_once('%').unwrap_or((host, "0"));
        return (bare.parse::<Ipv6Addr>().is_ok() && !zone.is_empty()).then_some((host, port));
    }
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let last = host.trim_end_matches('.').rsplit('.').next()?;
    // What ends in a number is an address, or nothing.
    let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let fits = if number {
        host.parse::<Ipv4Addr>().is_ok()
    } else {
        host.bytes().all(of_a_name) && !host.starts_with('.') && !host.contains("..")
    };
    fits.then_some((host, port))
}

async fn tcp(address: &str) -> io::Result<Listener> {
    let (host, port) = host_and_port(address).ok_or(io::ErrorKind::InvalidInput)?;
    let listener = if host.is_empty() {
        // As in Go: IPv6's wildcard takes IPv4 too; without IPv6, that of IPv4.
        match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                listen((Ipv4Addr::UNSPECIFIED, port).into())?
            }
            bound => bound?,
        }
    } else {
        let mut bound = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in lookup_host((host, port)).await? {
            bound = listen(address);
            if bound.is_ok() {
                break;
            }
        }
        bound?
    };
    let address = listener.local_addr()?;
    Ok(Listener::Tcp(listener, address))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A port whose connections are not quite over can be had again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn unix(path: &Path) -> io::Result<Listener> {
    // What a killed registry left behind is a socket that nobody answers.
    let is_socket = |meta: std::fs::Metadata| meta.file_type().is_socket();
    if std::fs::symlink_metadata(path).is_ok_and(is_socket)
        && UnixStream::connect(path).await.is_err()
    {
        std::fs::remove_file(path)?;
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let listener = socket.listen(BACKLOG)?;
    Ok(Listener::Unix(
        listener,
        SocketFile(path.to_owned(), Owner::Us),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_go_takes_them() {
        for (address, parts) in [
            (":5000", Some(("", 5000))),
            ("127.0.0.1:0", Some(("127.0.0.1", 0))),
            ("[::1]:5000", Some(("::1", 5000))),
            ("[fe80::1%eth0]:5000", Some(("fe80::1%eth0", 5000))),
            ("localhost:5000", Some(("localhost", 5000))),
            (
                "my_host-1.example.org.:65535",
                Some(("my_host-1.example.org.", 65535)),
            ),
            ("tcp://127.0.0.1:5000", None),
            ("http://localhost:5000", None),
            ("*:5000", None),
            ("::1:5000", None),
            ("[127.0.0.1]:5000", None),
            ("[::1]", None),
            ("[::1%]:5000", None),
            ("127.0.0.1:65536", None),
            ("127.0.0.1:+1", None),
            ("127.0.0.1:", None),
            ("127.0.0.256:5000", None),
            ("127.1:5000", None),
            ("a..b:5000", None),
            ("a b:5000", None),
            ("localhost", None),
            ("5000", None),
            ("", None),
        ] {
            assert_eq!(host_and_port(address), parts, "{address}");
        }
    }

    #[tokio::test]
    async fn a_crowd_waits_to_be_accepted() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let crowd = BACKLOG.min(allowed.trim().parse().unwrap()).min(400);
        let listen = Listen::Tcp("127.0.0.1:0".into());
        let listener = Listener::bind(&listen, "http.addr").await.unwrap();
        let Listener::Tcp(_, address) = &listener else {
            panic!("it is a port");
        };
        let patience = std::time::Duration::from_secs(10);
        let connect = |_| std::net::TcpStream::connect_timeout(address, patience).unwrap();
        let _crowd: Vec<_> = (0..crowd).map(connect).collect();
    }

    #[tokio::test]
    async fn an_address_in_use_names_its_setting() {
        let free = Listen::Tcp("localhost:0".into());
        let taken = Listener::bind(&free, "http.addr").await.unwrap();
        let Listener::Tcp(_, address) = &taken else {
            panic!("it is a port");
        };
        let listen = Listen::Tcp(address.to_string());
        let told = Listener::bind(&listen, "http.debug.addr")
            .await
            .unwrap_err();
        let told = told.to_string();
        let remedy = "; stop what listens there, or choose another http.debug.addr \
                      (REGISTRY_HTTP_DEBUG_ADDR)";
        assert!(told.ends_with(remedy), "{told}");
    }
}
