//! The program as its users meet it: started, asked over HTTP, stopped by signals.

#![allow(
    clippy::future_not_send,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and a test waits where it runs"
)]

mod acme;
mod command_line;
mod configuration;
mod drain;
mod lifecycle;
mod logs;
mod passwords;
mod program;
mod requests;
mod secrets;
mod serving;
mod settings;
mod surroundings;
mod tls;
mod wrong;
