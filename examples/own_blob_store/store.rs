//! The seam: each method is one transaction on the data, writing an upload one for each piece.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream, stream::BoxStream};
use registry_core::{Algorithm, Blob, ByteStream, Digest, Location, store::*};

use crate::{
    maps::{Maps, Stored},
    upload::Upload,
};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Clone, Debug, Default)]
pub(crate) struct OwnBlobs(Arc<Mutex<Maps>>);

impl OwnBlobs {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for OwnBlobs {
    async fn check(&self) -> Result<()> {
        Ok(())
    }
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.maps().blobs.get(digest).map(Stored::size))
    }
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        Ok(self.maps().blobs.get(digest).map(Stored::blob))
    }
    async fn location(&self, _: &Digest, _: Duration) -> Result<Option<Location>> {
        Ok(None)
    }
    async fn delete(&self, digest: &Digest) -> Result<bool> {
        Ok(self.maps().blobs.remove(digest).is_some())
    }
    fn list(&self) -> BoxStream<'_, Result<StoredBlob>> {
        let maps = self.maps();
        let blobs = maps.blobs.iter();
        let blobs = blobs.map(|(digest, b)| Ok(StoredBlob::new(digest.clone(), b.size(), b.at)));
        stream::iter(blobs.collect::<Vec<_>>()).boxed()
    }
    async fn begin_upload(&self, key: &UploadKey, algorithm: Algorithm) -> Result<UploadState> {
        Ok(self.maps().begin(key, algorithm))
    }
    async fn upload(&self, key: &UploadKey, _: Option<UploadState>) -> Result<Option<UploadState>> {
        Ok(self.maps().uploads.get(key).map(Upload::state))
    }
    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        mut body: ByteStream,
    ) -> Result<Written> {
        let mut state = self.maps().take_over(key, &from)?;
        while let Some(piece) = body.next().await {
            match piece {
                Ok(bytes) => state = self.maps().append(key, &state, &bytes)?,
                Err(why) => return Ok(Written::new(state, BodyEnd::Cut(why))),
            }
        }
        Ok(Written::new(state, BodyEnd::Complete))
    }
    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest> {
        Ok(algorithm.digest(self.maps().covered(key, state)?))
    }
    async fn commit_upload(
        &self,
        key: &UploadKey,
        state: UploadState,
        digest: &Digest,
    ) -> Result<()> {
        self.maps().commit(key, &state, digest)
    }
    async fn abort_upload(&self, key: &UploadKey, _: Option<UploadState>) -> Result<()> {
        self.maps().uploads.remove(key);
        Ok(())
    }
    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload>> {
        let maps = self.maps();
        let uploads = maps.uploads.iter();
        let uploads = uploads.map(|(k, u)| Ok(OpenUpload::new(k.clone(), u.started, u.modified)));
        stream::iter(uploads.collect::<Vec<_>>()).boxed()
    }
}
