//! Stores for `registry-core`.
//!
//! - [`fs`] (feature `fs`, default): a local directory, in the tree of Distribution, which can be
//!   served by either in turn.
//! - [`memory`]: everything in maps, gone with the process; for tests and ephemeral registries.

#[cfg(feature = "fs")]
pub mod fs;
#[cfg(feature = "fs")]
mod layout;
pub mod memory;
