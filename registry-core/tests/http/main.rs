//! The HTTP service without sockets and the server on them: what clients that follow the protocol
//! do not show.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod connections;
#[path = "../it/double.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod double;
mod origin;
mod probe;
mod service;
