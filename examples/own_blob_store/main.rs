//! A blob store of your own under an engine, beside somebody else's metadata.
//!
//! The contract is `docs/reference/store-contract.md`; the suite that the test runs finds what
//! breaks it.

mod maps;
mod store;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use registry_core::{
    Algorithm, Context, Engine, Registry, RepositoryName,
    registry::{Chunk, Finish, StartUpload, UploadStart},
    store::BlobStore,
};
use registry_storage::memory::MemoryStorage;

use crate::store::OwnBlobs;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    run().await
}

async fn run() -> Result<()> {
    let blobs = OwnBlobs::default();
    let registry = Engine::builder()
        .blobs(Arc::new(blobs.clone()))
        .metadata(MemoryStorage::new().metadata())
        .build();

    let (cx, app) = (Context::anonymous(), RepositoryName::parse("team/app")?);
    let layer = Bytes::from_static(b"a layer");
    let digest = Algorithm::Sha256.digest(&layer);
    let start = StartUpload::default();
    let UploadStart::Started(session) = registry.start_upload(&cx, &app, start).await? else {
        return Err("nothing was asked to be mounted".into());
    };
    let finish = Finish::new(digest.clone()).chunk(Chunk::new(layer));
    registry
        .finish_upload(&cx, &app, &session.id, finish)
        .await?;

    let size = blobs.stat(&digest).await?;
    println!("{digest} is in our own store: {size:?} bytes");
    assert_eq!(size, Some(7));
    Ok(())
}

#[cfg(test)]
mod tests {
    use registry_core::store::conformance::{self, Stores, Subject};

    use super::*;

    struct Own;

    #[async_trait::async_trait]
    impl Subject for Own {
        async fn fresh(&self) -> (Stores, Stores) {
            let (blobs, metadata) = (OwnBlobs::default(), MemoryStorage::new().metadata());
            let stores = Stores::new(Arc::new(blobs), metadata);
            (stores.clone(), stores)
        }
    }

    #[tokio::test]
    async fn it_runs_and_keeps_the_contract() -> Result<()> {
        conformance::run(&Own).await.assert();
        run().await
    }
}
