//! Why an address cannot be listened on, and what to do.

use std::{error::Error, fmt, io};

use crate::config::Listen;

/// An address that cannot be bound. Its source says what the operating system said.
#[derive(Debug)]
#[non_exhaustive]
pub struct BindError {
    listen: Listen,
    key: &'static str,
    source: io::Error,
}

impl BindError {
    pub(super) fn new(listen: &Listen, key: &'static str, source: io::Error) -> Self {
        Self {
            listen: listen.clone(),
            key,
            source,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key;
        match &self.listen {
            Listen::Tcp(address) => write!(f, "cannot listen on {address}; ")?,
            Listen::Unix(path) => write!(f, "cannot listen on {}; ", path.display())?,
        }
        match (self.source.kind(), &self.listen) {
            (io::ErrorKind::AddrInUse, _) => {
                let variable = key.replace('.', "_").to_ascii_uppercase();
                write!(
                    f,
                    "stop what listens there, or choose another {key} (REGISTRY_{variable})"
                )
            }
            (io::ErrorKind::PermissionDenied, Listen::Tcp(_)) => write!(
                f,
                "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): grant it, or choose \
                 another {key}"
            ),
            (io::ErrorKind::PermissionDenied, Listen::Unix(_)) => write!(
                f,
                "let the user of the registry write the directory, or choose another {key}"
            ),
            (io::ErrorKind::AddrNotAvailable, _) => write!(
                f,
                "no interface of this host has that address: write one that it has in {key}, or \
                 :PORT for every interface"
            ),
            (io::ErrorKind::NotFound, Listen::Unix(_)) => {
                write!(f, "make the directory, or choose another {key}")
            }
            _ => write!(f, "choose another {key}"),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
