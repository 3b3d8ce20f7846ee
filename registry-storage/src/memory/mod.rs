//! Both halves of seam 2 in memory, gone with the process.
//!
//! One lock guards each half; nothing waits while holding it. Blobs are kept as the pieces they
//! arrived in, so that a commit copies nothing.

mod blobs;
mod metadata;

use std::sync::Arc;

use registry_core::{
    Clock, Digest, SystemClock,
    store::{BlobStore, MetadataStore, StoreError, StoreErrorKind},
};

use self::{blobs::MemoryBlobs, metadata::MemoryMetadata};

/// A store in memory. Clones share what they hold.
///
/// ```
/// use registry_core::Engine;
/// use registry_storage::memory::MemoryStorage;
///
/// let store = MemoryStorage::new();
/// let engine = Engine::builder().blobs(store.blobs()).metadata(store.metadata()).build();
/// # let _ = engine;
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    blobs: Arc<MemoryBlobs>,
    metadata: Arc<MemoryMetadata>,
}

impl MemoryStorage {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that takes the times of what it holds from `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            blobs: Arc::new(MemoryBlobs::new(clock)),
            metadata: Arc::default(),
        }
    }

    /// The half that holds blobs and uploads.
    pub fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::<MemoryBlobs>::clone(&self.blobs)
    }

    /// The half that holds links, manifests, tags and referrers.
    pub fn metadata(&self) -> Arc<dyn MetadataStore> {
        Arc::<MemoryMetadata>::clone(&self.metadata)
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

/// Fails for the digest of an algorithm that content is not stored under, so that nothing is ever
/// found under it.
fn storable(digest: &Digest) -> Result<(), StoreError> {
    if digest.content_algorithm().is_some() {
        return Ok(());
    }
    let message = "content is stored under sha256 and sha512 only";
    Err(StoreError::new(StoreErrorKind::Other, message))
}
