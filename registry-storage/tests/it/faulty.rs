//! A store that goes wrong on purpose, over the memory store.

use std::sync::Arc;

use bytes::Bytes;
use registry_core::{
    Algorithm, ByteStream, RepositoryName, SystemEntropy,
    store::{
        BlobLink, BlobStore, BodyEnd, MetadataStore, StoreErrorKind, UploadId, UploadKey,
        faulty::{Fault, Faults, Faulty, Op},
    },
};
use registry_storage::memory::MemoryStorage;

fn name() -> RepositoryName {
    "a/b".parse().expect("it is a name")
}

#[tokio::test]
async fn fails_as_often_as_it_was_told_and_no_more() {
    let faults = Faults::none();
    let store = Faulty::new(MemoryStorage::new().metadata(), faults.clone());
    faults.next(Op::LinkBlob, 2, Fault::Fail(StoreErrorKind::Full));
    let digest = Algorithm::Sha256.digest(b"x");
    let link = || BlobLink::new(digest.clone(), None);
    for _ in 0..2 {
        let failed = store.link_blob(&name(), &digest, link()).await;
        assert_eq!(
            failed.map_err(|error| error.kind()),
            Err(StoreErrorKind::Full)
        );
        assert_eq!(
            store
                .blob_link(&name(), &digest)
                .await
                .expect("only links fail"),
            None
        );
    }
    store
        .link_blob(&name(), &digest, link())
        .await
        .expect("the faults are used up");
    assert_eq!(faults.count(Op::LinkBlob), 3);

    // With its answer lost, the call has happened all the same.
    faults.next(Op::UnlinkBlob, 1, Fault::Lose(StoreErrorKind::Unavailable));
    store
        .unlink_blob(&name(), &digest)
        .await
        .expect_err("the answer is lost");
    assert_eq!(
        store
            .blob_link(&name(), &digest)
            .await
            .expect("it can be read"),
        None
    );
}

#[tokio::test]
async fn cuts_a_body_where_it_was_told() {
    let faults = Faults::none();
    let inner = MemoryStorage::new();
    let store = Faulty::new(inner.blobs(), faults.clone());
    let key = UploadKey::new(name(), UploadId::random(&SystemEntropy));
    let state = store
        .begin_upload(&key, Algorithm::Sha256)
        .await
        .expect("it begins");
    faults.next(Op::WriteUpload, 1, Fault::Cut(3));
    let body = ByteStream::from(Bytes::from_static(b"seven b"));
    let written = store
        .write_upload(&key, state, body)
        .await
        .expect("a cut is no error");
    assert!(matches!(written.end, BodyEnd::Cut(_)));
    assert_eq!(written.state.length, 3);
    let there = Arc::clone(&inner.blobs())
        .upload(&key, None)
        .await
        .expect("it is there");
    assert_eq!(there.map(|state| state.length), Some(3));
}
