//! An OCI and Docker registry, as a library.
//!
//! `registry-core` holds what every registry has in common: the names and documents of the
//! specification, the rules of pushing and pulling, and the HTTP API over them. It does not pick a
//! database, does not know who you are, and without its `hyper` feature does not open sockets.
//!
//! The crate is an hourglass with two seams:
//!
//! - [`Registry`], the verbs of the specification on typed names. The [`Engine`]
//!   implements it over stores, [layers](layer) wrap it, the HTTP [service](server) serves it, and a
//!   program can call it without HTTP.
//! - [`BlobStore`](store::BlobStore) and [`MetadataStore`](store::MetadataStore), what somebody with
//!   their own database or object store implements. `registry-storage` has a disk and a memory one.
//!
//! # Features
//!
//! - `server` (default): the HTTP service, over any body type, without a server.
//! - `tokio` (default): the [`Runtime`](runtime::Runtime) port on Tokio.
//! - `hyper`: a server for the service: HTTP/1.1 and HTTP/2, timeouts, limits, graceful drain.
//! - `testing`: the conformance suite for stores, and a store that fails on purpose.

pub mod access;
mod clock;
mod content;
mod descriptor;
mod digest;
pub mod engine;
mod entropy;
mod error;
pub mod event;
mod hash;
pub mod layer;
mod location;
pub mod maintenance;
pub mod manifest;
mod media_type;
mod name;
mod page;
#[cfg(feature = "server")]
pub mod protocol;
mod range;
mod reference;
pub mod registry;
pub mod runtime;
#[cfg(feature = "server")]
pub mod server;
pub mod store;
pub mod upload;

#[cfg(feature = "testing")]
pub use self::clock::ManualClock;
pub use self::{
    access::Context,
    clock::{Clock, SystemClock},
    content::{Blob, BlobReply, BlobSource, ByteStream},
    descriptor::Descriptor,
    digest::{Digest, InvalidDigest},
    engine::Engine,
    entropy::{Entropy, SystemEntropy},
    error::{Error, ErrorCode, Result},
    hash::{Algorithm, HashState, Hasher},
    location::Location,
    media_type::{InvalidMediaType, ManifestKind, MediaType, TypeName},
    name::{InvalidName, RepositoryName},
    page::{Listing, Page},
    range::{ByteRange, ContentRange, InvalidContentRange, Ranges},
    reference::{Expect, InvalidReference, InvalidTag, Reference, Tag},
    registry::Registry,
};
