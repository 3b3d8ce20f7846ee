//! TLS: certificates from files or an authority, clients' certificates, and the listener.
//!
//! What the files hold is read again when they change; connections that are open go on with what they
//! began with. See [`Identity`] for the certificates and [`TlsListener`] for the connections.

mod acme;
mod clients;
mod facts;
mod file;
mod handshakes;
mod identity;
mod listener;
mod pem;
mod settings;

pub(crate) use self::file::readable;
pub use self::{
    facts::Facts,
    identity::Identity,
    listener::{Begun, TlsListener},
    settings::{Acceptor, TlsError},
};
