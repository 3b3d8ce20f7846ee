//! Both halves of seam 2 on a local directory, in Distribution's tree.
//!
//! Bytes are written once, hashed on the way, synced and renamed into place; nothing is answered
//! before it is durable. Several processes of this crate may serve one directory at a time, on one
//! machine. Distribution may serve it before and after, not meanwhile: it takes no locks.

mod blobs;
mod catalog;
pub mod disk;
mod links;
mod manifests;
mod metadata;
mod publish;
mod read;
mod records;
mod referrers;
mod small;
mod state;
mod tags;
mod uploads;
mod walk;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use registry_core::{
    Clock, SystemClock,
    store::{BlobStore, MetadataStore, StoreError},
};

use self::{
    blobs::FsBlobs,
    disk::{Disk, RealDisk},
    metadata::FsMetadata,
    publish::Publisher,
};
use crate::layout::Layout;

/// A store in a directory. Clones share what they have open.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use registry_core::Engine;
/// use registry_storage::fs::FsStorage;
///
/// # let directory = std::env::temp_dir().join(format!("registry-doc-{}", std::process::id()));
/// let store = FsStorage::open(&directory)?;
/// let engine = Engine::builder().blobs(store.blobs()).metadata(store.metadata()).build();
/// # drop(engine); std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FsStorage {
    blobs: Arc<FsBlobs>,
    metadata: Arc<FsMetadata>,
}

impl FsStorage {
    /// Opens the store below `root`, Distribution's `rootdirectory`, and makes what is missing.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written to.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder().open(root)
    }

    /// A store with other ports.
    pub fn builder() -> Builder {
        Builder {
            clock: Arc::new(SystemClock),
            disk: Arc::new(RealDisk),
        }
    }

    /// The half that holds blobs and uploads.
    pub fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::<FsBlobs>::clone(&self.blobs)
    }

    /// The half that holds links, manifests, tags and referrers.
    pub fn metadata(&self) -> Arc<dyn MetadataStore> {
        Arc::<FsMetadata>::clone(&self.metadata)
    }
}

/// Makes an [`FsStorage`] with other ports than the system's.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
}

impl Builder {
    /// Takes the time from `clock`.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Writes through `disk`.
    pub fn disk(self, disk: Arc<dyn Disk>) -> Self {
        Self { disk, ..self }
    }

    /// Opens the store, as [`FsStorage::open`].
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written to.
    pub fn open(self, root: impl AsRef<Path>) -> Result<FsStorage, StoreError> {
        let layout = Arc::new(Layout::new(root.as_ref()));
        let publisher = Arc::new(Publisher::open(&layout, self.disk, &*self.clock)?);
        let blobs = FsBlobs::new(
            Arc::clone(&layout),
            Arc::clone(&publisher),
            Arc::clone(&self.clock),
        );
        let metadata = FsMetadata::new(layout, publisher, self.clock);
        Ok(FsStorage {
            blobs: Arc::new(blobs),
            metadata: Arc::new(metadata),
        })
    }
}

/// Runs blocking work on Tokio's pool for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            let message = "work on the disk did not finish";
            Err(
                StoreError::new(registry_core::store::StoreErrorKind::Other, message)
                    .caused_by(error),
            )
        }
    }
}

/// Whether the root directory is there, and `directory` below it can be listed if it is there: what is
/// missing of ours is made again when it is needed. Room is not looked at: a full disk still serves
/// pulls.
async fn listable(root: PathBuf, directory: PathBuf) -> Result<(), StoreError> {
    let list = |directory: &Path| {
        let first = || fs::read_dir(directory)?.next().transpose();
        first().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", directory.display()))
        })
    };
    blocking(move || {
        let below = || match list(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            listed => listed,
        };
        let listed = list(&root).and_then(|_| below());
        listed
            .map(drop)
            .map_err(failed("the storage cannot be listed"))
    })
    .await
}

/// Says what was being done when the disk failed.
fn failed(what: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |error| StoreError::io(what, error)
}
