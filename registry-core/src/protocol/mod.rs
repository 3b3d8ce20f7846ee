//! The wire, pure: what a request asks and how an answer is said. No `async`, no sockets.
//!
//! [`Route`] reads the paths of the API and writes them, [`Query`] their parameters, [`headers`] what
//! the specification and its clients put into headers, [`Forwarded`] what proxies do; [`failure`] is the one place that knows which
//! status an error has, and [`hint`] lets the state of an upload travel through its client.

pub mod failure;
mod forwarded;
pub mod headers;
pub mod hint;
mod query;
mod route;

#[cfg(feature = "server")]
pub(crate) use self::forwarded::is_host;
pub use self::{
    forwarded::Forwarded,
    query::{PageSize, Query},
    route::Route,
};
