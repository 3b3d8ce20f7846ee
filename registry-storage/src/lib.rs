//! Stores for [`registry_core`]: where a registry keeps its bytes and its records.
//!
//! - [`memory`]: everything in memory, for tests, examples and registries that live as long as their
//!   process.
//!
//! Each store implements both halves of seam 2, [`BlobStore`](registry_core::store::BlobStore) and
//! [`MetadataStore`](registry_core::store::MetadataStore), and passes the suite in
//! `registry_core::store::conformance`.

pub mod memory;
