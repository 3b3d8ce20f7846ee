//! Every store against the suite of `registry_core::store::conformance`, and the suite against
//! stores that are broken on purpose.
//!
//! A new store gets a module here with a `Subject` and the two tests that `memory` has.

#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod broken;
mod crash;
mod faulty;
mod fs;
mod memory;
mod sqlite;
