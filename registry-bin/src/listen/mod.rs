//! Where clients connect: TCP addresses as Go writes them, and Unix sockets.

mod error;
mod unix;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket, lookup_host};

pub use self::{error::BindError, unix::SocketListener};
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
    /// A Unix socket.
    Unix(SocketListener),
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
            Listen::Unix(path) => SocketListener::bind(path).await.map(Self::Unix),
        };
        bound.map_err(|source| BindError::new(listen, key, source))
    }

    /// The socket that a service manager passed, or else the address of the setting `key`, bound.
    ///
    /// # Errors
    ///
    /// [`Failure`] when there is neither.
    pub async fn take_or_bind(
        passed: Option<Socket>,
        listen: &Listen,
        key: &'static str,
    ) -> Result<Self, Failure> {
        match passed {
            Some(socket) => Ok(Self::take(socket)?),
            None => Ok(Self::bind(listen, key).await?),
        }
    }

    /// The address of the port; `None` for a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// Takes over a socket that was opened by a service manager.
    ///
    /// # Errors
    ///
    /// When the operating system does not allow it.
    pub fn take(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?, address))
            }
            Socket::Unix(listener) => Ok(Self::Unix(SocketListener::take(listener)?)),
        }
    }

    /// Where clients connect, as they would write it.
    pub fn address(&self, encrypted: bool) -> String {
        let scheme = if encrypted { "https" } else { "http" };
        match self {
            Self::Tcp(_, address) => format!("{scheme}://{address}"),
            Self::Unix(listener) => format!("unix:{}", listener.path().display()),
        }
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
        let crowd = BACKLOG.min(allowed.trim().parse().unwrap()).min(160);
        let listen = Listen::Tcp("127.0.0.1:0".into());
        let listener = Listener::bind(&listen, "http.addr").await.unwrap();
        let Listener::Tcp(_, address) = &listener else {
            panic!("it is a port");
        };
        // More than wait without being asked for, and not so many that files run out.
        let patience = std::time::Duration::from_secs(60);
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
        assert!(std::error::Error::source(&told).is_some());
        let told = told.to_string();
        let remedy = "; stop what listens there, or choose another http.debug.addr \
                      (REGISTRY_HTTP_DEBUG_ADDR)";
        assert!(told.ends_with(remedy), "{told}");
    }
}
