//! The half that keeps blobs, and the uploads that become them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use registry_core::{
    Algorithm, Blob, ByteRange, ByteStream, Digest, Hasher, Location,
    store::{
        BlobStore, BodyEnd, OpenUpload, StoreError, StoreErrorKind, StoredBlob, UploadKey,
        UploadState, Written,
    },
};

use super::{
    MemoryStorage, lock,
    pieces::Pieces,
    upload::{Epoch, Upload, superseded},
};

/// Everything of this half. Where an upload is locked too, the upload is locked first.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    blobs: BTreeMap<Digest, Stored>,
    uploads: BTreeMap<UploadKey, Arc<Mutex<Upload>>>,
    epochs: Epoch,
}

#[derive(Debug)]
struct Stored {
    content: Pieces,
    modified: SystemTime,
}

impl MemoryStorage {
    /// The upload that is open under `key`.
    fn open_upload(&self, key: &UploadKey) -> Result<Arc<Mutex<Upload>>, StoreError> {
        let found = lock(&self.blobs).uploads.get(key).map(Arc::clone);
        found.ok_or_else(superseded)
    }
}

#[async_trait]
impl BlobStore for MemoryStorage {
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let blobs = lock(&self.blobs);
        Ok(blobs.blobs.get(digest).map(|blob| blob.content.length()))
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let content = (lock(&self.blobs).blobs.get(digest)).map(|blob| blob.content.clone());
        Ok(content.map(|content| Blob::new(content.length(), content)))
    }

    async fn location(&self, _: &Digest, _: Duration) -> Result<Option<Location>, StoreError> {
        Ok(None)
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(lock(&self.blobs).blobs.remove(digest).is_some())
    }

    fn list(&self) -> BoxStream<'_, Result<StoredBlob, StoreError>> {
        let blobs: Vec<_> = (lock(&self.blobs).blobs.iter())
            .map(|(digest, blob)| {
                StoredBlob::new(digest.clone(), blob.content.length(), blob.modified)
            })
            .collect();
        stream::iter(blobs).map(Ok).boxed()
    }

    async fn begin_upload(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError> {
        let mut blobs = lock(&self.blobs);
        let upload = Upload::new(blobs.epochs.draw(), algorithm, self.clock.now());
        let state = upload.state().ok_or_else(superseded)?;
        match blobs.uploads.entry(key.clone()) {
            Entry::Occupied(_) => Err(StoreError::conflict("there is such an upload already")),
            Entry::Vacant(place) => {
                place.insert(Arc::new(Mutex::new(upload)));
                Ok(state)
            }
        }
    }

    async fn upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<Option<UploadState>, StoreError> {
        let upload = self.open_upload(key).ok();
        Ok(upload.and_then(|upload| lock(&upload).state()))
    }

    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        mut body: ByteStream,
    ) -> Result<Written, StoreError> {
        let upload = self.open_upload(key)?;
        let epoch = lock(&self.blobs).epochs.draw();
        lock(&upload).take_over(&from, epoch)?;
        let end = loop {
            match body.next().await {
                Some(Ok(bytes)) => lock(&upload).append(epoch, bytes, self.clock.now())?,
                Some(Err(error)) => break BodyEnd::Cut(error),
                None => break BodyEnd::Complete,
            }
        };
        let upload = lock(&upload);
        upload.turn(epoch)?;
        let state = upload.state().ok_or_else(superseded)?;
        Ok(Written::new(state, end))
    }

    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError> {
        let upload = self.open_upload(key)?;
        let content = lock(&upload).content().ok_or_else(superseded)?;
        if content.length() < state.length {
            return Err(superseded());
        }
        let hasher = Some(&state.hash)
            .filter(|hash| hash.algorithm() == algorithm && hash.covered() <= state.length)
            .and_then(Hasher::restore);
        let mut hasher = hasher.unwrap_or_else(|| Hasher::new(algorithm));
        let lagging = ByteRange {
            start: hasher.covered(),
            end: state.length,
        };
        for piece in content.range(lagging) {
            hasher.update(&piece);
        }
        Ok(hasher.finish())
    }

    async fn commit_upload(
        &self,
        key: &UploadKey,
        state: UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        if digest.content_algorithm().is_none() {
            let message = format!("nothing is stored under {}", digest.algorithm());
            return Err(StoreError::new(StoreErrorKind::Other, message));
        }
        let upload = self.open_upload(key)?;
        let mut upload = lock(&upload);
        upload.newest(&state)?;
        let content = upload.content().ok_or_else(superseded)?;
        let mut blobs = lock(&self.blobs);
        let there = blobs.blobs.get(digest);
        if there.is_none_or(|blob| blob.content.length() < content.length()) {
            let modified = self.clock.now();
            let blob = Stored { content, modified };
            blobs.blobs.insert(digest.clone(), blob);
        }
        blobs.uploads.remove(key);
        upload.end();
        Ok(())
    }

    async fn abort_upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<(), StoreError> {
        let upload = lock(&self.blobs).uploads.remove(key);
        if let Some(upload) = upload {
            lock(&upload).end();
        }
        Ok(())
    }

    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload, StoreError>> {
        let uploads = lock(&self.blobs).uploads.clone();
        let open = uploads.into_iter().map(|(key, upload)| {
            let upload = lock(&upload);
            Ok(OpenUpload::new(key, upload.started, upload.modified))
        });
        stream::iter(open.collect::<Vec<_>>()).boxed()
    }
}
