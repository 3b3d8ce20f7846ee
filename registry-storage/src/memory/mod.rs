//! A store in memory: what was written is gone with the last clone.
//!
//! It keeps every promise of the contracts but the one about the loss of power, and it is the
//! shortest example of a store that implements both halves on one object. Nothing in it waits, so it
//! runs on any executor.
//!
//! # Inside
//!
//! - A blob is the list of pieces that its upload received; committing moves the list and copies no
//!   byte, reading hands out slices of the pieces.
//! - An upload has an epoch, drawn from one counter. Each writer draws a new one when it takes over,
//!   and goes on only while it is still the upload's; the epoch rides in the state's private part, so
//!   a state of a superseded writer is recognized as stale.
//! - Listings are ranges of ordered maps: a page costs the page.

mod blobs;
mod metadata;
mod name;
mod pieces;
mod repository;
mod upload;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use registry_core::{
    Clock, SystemClock,
    store::{BlobStore, MetadataStore},
};

use self::{blobs::Blobs, metadata::Repositories};

/// A registry's content in memory. Clones share it.
///
/// ```
/// use registry_core::{Algorithm, RepositoryName, store::{BlobStore, UploadId, UploadKey}};
/// use registry_storage::memory::MemoryStorage;
///
/// # futures_util::future::FutureExt::now_or_never(async {
/// let storage = MemoryStorage::new();
/// let repository = RepositoryName::parse("library/hello")?;
/// let key = UploadKey::new(repository, UploadId::parse("first")?);
///
/// let state = storage.begin_upload(&key, Algorithm::Sha256).await?;
/// let body = bytes::Bytes::from_static(b"hello").into();
/// let written = storage.write_upload(&key, state, body).await?;
///
/// let digest = storage.digest_upload(&key, &written.state, Algorithm::Sha256).await?;
/// storage.commit_upload(&key, written.state, &digest).await?;
/// assert_eq!(storage.stat(&digest).await?, Some(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).expect("nothing waits").unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryStorage {
    blobs: Arc<Mutex<Blobs>>,
    repositories: Arc<Mutex<Repositories>>,
    clock: Arc<dyn Clock>,
}

impl MemoryStorage {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            blobs: Arc::default(),
            repositories: Arc::default(),
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// The same content, with the times of blobs and uploads taken from `clock` from here on.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The half that keeps blobs.
    pub fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.clone())
    }

    /// The half that keeps manifests, tags and links.
    pub fn metadata(&self) -> Arc<dyn MetadataStore> {
        Arc::new(self.clone())
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").finish_non_exhaustive()
    }
}

/// Locks, also after a panic elsewhere: every critical section leaves its data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
