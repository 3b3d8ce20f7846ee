//! The memory store.

use async_trait::async_trait;
use registry_core::store::conformance::{self, Stores, Subject};
use registry_storage::memory::MemoryStorage;

/// Clones of one store.
pub(crate) struct Memory;

#[async_trait]
impl Subject for Memory {
    async fn fresh(&self) -> (Stores, Stores) {
        let storage = MemoryStorage::new();
        let stores = |storage: &MemoryStorage| Stores::new(storage.blobs(), storage.metadata());
        (stores(&storage), stores(&storage.clone()))
    }
}

#[tokio::test]
async fn keeps_the_contracts() {
    conformance::run(&Memory).await.assert();
}
