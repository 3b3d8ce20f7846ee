//! Stores for `registry-core`.
//!
//! - [`memory`]: everything in maps, gone with the process; for tests and ephemeral registries.

pub mod memory;
