//! The disk store, over two instances on one directory.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::store::conformance::{self, Stores, Subject};
use registry_storage::fs::FsStorage;

/// Two instances on a fresh directory, which goes with them.
pub(crate) struct Disk;

#[async_trait]
impl Subject for Disk {
    async fn fresh(&self) -> (Stores, Stores) {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory can be made"));
        let open = || {
            let storage = FsStorage::open(directory.path()).expect("the directory can be written");
            Stores::new(storage.blobs(), storage.metadata()).keeping(Arc::clone(&directory) as _)
        };
        (open(), open())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contracts() {
    conformance::run(&Disk).await.assert();
}
