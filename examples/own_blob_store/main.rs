//! A blob store of your own under an engine, beside somebody else's metadata.
//!
//! The contract is `docs/reference/store-contract.md`; the suite that the test runs finds what
//! breaks it.

mod maps;
mod store;

use std::sync::Arc;

use bytes::Bytes;
use registry_core::{
    Algorithm, Context, Engine, Registry, RepositoryName,
    registry::{Chunk, Finish, StartUpload, UploadStart},
    store::BlobStore,
};
use registry_storage::MemoryStorage;

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
    registry.finish_upload(&cx, &app, &session.id, finish).await?;

    let size = blobs.stat(&digest).await?;
    println!("{digest} is in our own store: {size:?} bytes");
    assert_eq!(size, Some(7));
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn it_runs() -> Result<()> {
    run().await
}
