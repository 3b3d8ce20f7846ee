//! The examples are the files beside this crate's manifest: `cargo run -p registry-examples --example
//! in_process`. Here the README is compiled from its own text.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/how-to/embed.md")]
mod embed {}
