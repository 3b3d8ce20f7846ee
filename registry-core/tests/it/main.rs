//! The engine and the layers, over a store that can be looked into, held up and made to fail.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod authorized;
mod blobs;
mod double;
mod fixture;
mod immutable_tags;
mod lists;
mod maintenance;
mod manifests;
mod mounts;
mod observed;
mod read_only;
mod references;
mod scoped;
mod uploads;
