//! The HTTP API over a [`Registry`](crate::Registry): a service, not a server.
//!
//! [`RegistryService`] takes requests with any body and gives answers whose bodies stream. It opens
//! no sockets, keeps no global state and can stand under a prefix of a larger application. With the
//! `hyper` feature, [`hyper`] runs it on sockets.

mod asked;
mod authenticate;
mod body;
mod exchange;
mod fallback;
mod handlers;
#[cfg(feature = "hyper")]
pub mod hyper;
mod incoming;
mod origin;
mod render;
mod service;
mod task;

pub use self::{
    body::{Body, READ_STEP},
    exchange::Exchange,
    fallback::NotFound,
    incoming::DRAINED,
    origin::{ClientCertificate, Encrypted, LocalPeer, Peer},
    service::RegistryService,
};
