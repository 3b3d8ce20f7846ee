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

#[tokio::test]
async fn a_check_fails_while_the_directory_is_gone() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path().join("root");
    let storage = FsStorage::open(&root).expect("the directory can be written");
    storage.blobs().check().await.expect("it is there");
    storage.metadata().check().await.expect("it is there");
    let away = directory.path().join("away");
    std::fs::rename(&root, &away).expect("nothing is in the way");
    assert!(storage.blobs().check().await.is_err());
    assert!(storage.metadata().check().await.is_err());
    std::fs::rename(&away, &root).expect("nothing is in the way");
    storage.blobs().check().await.expect("it is there again");
    storage.metadata().check().await.expect("it is there again");
}
