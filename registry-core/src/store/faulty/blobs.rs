//! The half that keeps blobs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::{
    Fault, Faulty, Op,
    body::{CutSource, cut},
    limit,
};
use crate::{
    content::{Blob, ByteStream},
    digest::Digest,
    hash::Algorithm,
    location::Location,
    store::{BlobStore, OpenUpload, StoreError, StoredBlob, UploadKey, UploadState, Written},
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: BlobStore + ?Sized> BlobStore for Faulty<S> {
    async fn check(&self) -> Result<(), StoreError> {
        self.call(Op::CheckBlobs, self.inner.check()).await
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        self.call(Op::StatBlob, self.inner.stat(digest)).await
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let decision = self.faults.decide(Op::OpenBlob);
        let blob = self
            .obey(Op::OpenBlob, decision, self.inner.open(digest))
            .await?;
        Ok(blob.map(|blob| match decision.fault {
            Some(Fault::Cut(bytes)) => {
                Blob::new(blob.size, CutSource::new(Arc::clone(&blob.source), bytes))
            }
            Some(Fault::Drop(_) | Fault::Fail(_) | Fault::Lose(_)) | None => blob,
        }))
    }

    async fn location(
        &self,
        digest: &Digest,
        lifetime: Duration,
    ) -> Result<Option<Location>, StoreError> {
        self.call(Op::Location, self.inner.location(digest, lifetime))
            .await
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.call(Op::DeleteBlob, self.inner.delete(digest)).await
    }

    fn list(&self) -> BoxStream<'_, Result<StoredBlob, StoreError>> {
        self.list_entries(Op::ListBlobs, self.inner.list())
    }

    async fn begin_upload(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError> {
        self.call(Op::BeginUpload, self.inner.begin_upload(key, algorithm))
            .await
    }

    async fn upload(
        &self,
        key: &UploadKey,
        hint: Option<UploadState>,
    ) -> Result<Option<UploadState>, StoreError> {
        self.call(Op::Upload, self.inner.upload(key, hint)).await
    }

    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        body: ByteStream,
    ) -> Result<Written, StoreError> {
        let decision = self.faults.decide(Op::WriteUpload);
        let write = self
            .inner
            .write_upload(key, from, cut(body, limit(decision)));
        self.obey(Op::WriteUpload, decision, write).await
    }

    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError> {
        self.call(
            Op::DigestUpload,
            self.inner.digest_upload(key, state, algorithm),
        )
        .await
    }

    async fn commit_upload(
        &self,
        key: &UploadKey,
        state: UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        self.call(
            Op::CommitUpload,
            self.inner.commit_upload(key, state, digest),
        )
        .await
    }

    async fn abort_upload(
        &self,
        key: &UploadKey,
        hint: Option<UploadState>,
    ) -> Result<(), StoreError> {
        self.call(Op::AbortUpload, self.inner.abort_upload(key, hint))
            .await
    }

    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload, StoreError>> {
        self.list_entries(Op::ListUploads, self.inner.list_uploads())
    }
}
