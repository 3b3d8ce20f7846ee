//! The HTTP service without sockets and the server on them: what clients that follow the protocol
//! do not show.

#![allow(
    clippy::future_not_send,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and a test waits where it runs"
)]

mod connections;
#[path = "../it/double.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod double;
mod origin;
mod probe;
mod service;
