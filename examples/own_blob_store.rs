//! A blob store of your own: maps under one lock here, your database there. The contract is
//! `docs/reference/store-contract.md`; the suite that the test runs finds what breaks it.

use std::{collections::HashMap, sync::*, time::*};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use registry_core::{store::*, *};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Default)]
struct Maps {
    blobs: HashMap<Digest, (Bytes, SystemTime)>,
    uploads: HashMap<UploadKey, Upload>,
}

/// Each writer has an epoch of its own; only that of the newest counts.
#[derive(Debug)]
struct Upload { bytes: Vec<u8>, algorithm: Algorithm, epoch: u64, started: SystemTime, modified: SystemTime }

impl Upload {
    fn state(&self) -> UploadState {
        let unhashed = Hasher::new(self.algorithm).save();
        UploadState::new(self.bytes.len() as u64, unhashed, self.epoch.to_be_bytes())
    }
}

impl Maps {
    /// The upload, if `state` is the newest.
    fn newest(&mut self, key: &UploadKey, state: &UploadState) -> Result<&mut Upload> {
        let upload = self.uploads.get_mut(key).filter(|upload| upload.state() == *state);
        upload.ok_or_else(|| StoreError::conflict("somebody else went on"))
    }
}

#[derive(Clone, Debug, Default)]
struct OwnBlobs(Arc<Mutex<Maps>>);

impl OwnBlobs {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for OwnBlobs {
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.maps().blobs.get(digest).map(|(bytes, _)| bytes.len() as u64))
    }
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        let maps = self.maps();
        Ok(maps.blobs.get(digest).map(|(bytes, _)| Blob::new(bytes.len() as u64, bytes.clone())))
    }
    async fn location(&self, _: &Digest, _: Duration) -> Result<Option<Location>> {
        Ok(None)
    }
    async fn delete(&self, digest: &Digest) -> Result<bool> {
        Ok(self.maps().blobs.remove(digest).is_some())
    }
    fn list(&self) -> BoxStream<'_, Result<StoredBlob>> {
        let maps = self.maps();
        let stored = |(digest, (bytes, at)): (&Digest, &(Bytes, SystemTime))| Ok(StoredBlob::new(digest.clone(), bytes.len() as u64, *at));
        stream::iter(maps.blobs.iter().map(stored).collect::<Vec<_>>()).boxed()
    }
    async fn begin_upload(&self, key: &UploadKey, algorithm: Algorithm) -> Result<UploadState> {
        let now = SystemClock.now();
        let upload = Upload { bytes: Vec::new(), algorithm, epoch: 0, started: now, modified: now };
        Ok(self.maps().uploads.entry(key.clone()).insert_entry(upload).get().state())
    }
    async fn upload(&self, key: &UploadKey, _: Option<UploadState>) -> Result<Option<UploadState>> {
        Ok(self.maps().uploads.get(key).map(Upload::state))
    }
    async fn write_upload(&self, key: &UploadKey, from: UploadState, mut body: ByteStream) -> Result<Written> {
        let mut state = {
            let mut maps = self.maps();
            let upload = maps.newest(key, &from)?;
            upload.epoch += 1;
            upload.state()
        };
        while let Some(piece) = body.next().await {
            let bytes = match piece { Ok(bytes) => bytes, Err(why) => return Ok(Written::new(state, BodyEnd::Cut(why))) };
            let mut maps = self.maps();
            let upload = maps.newest(key, &state)?;
            upload.bytes.extend_from_slice(&bytes);
            upload.modified = SystemClock.now();
            state = upload.state();
        }
        Ok(Written::new(state, BodyEnd::Complete))
    }
    async fn digest_upload(&self, key: &UploadKey, state: &UploadState, algorithm: Algorithm) -> Result<Digest> {
        Ok(algorithm.digest(&self.maps().newest(key, state)?.bytes))
    }
    async fn commit_upload(&self, key: &UploadKey, state: UploadState, digest: &Digest) -> Result<()> {
        let mut maps = self.maps();
        let bytes = std::mem::take(&mut maps.newest(key, &state)?.bytes);
        maps.uploads.remove(key);
        maps.blobs.insert(digest.clone(), (bytes.into(), SystemClock.now()));
        Ok(())
    }
    async fn abort_upload(&self, key: &UploadKey, _: Option<UploadState>) -> Result<()> {
        self.maps().uploads.remove(key);
        Ok(())
    }
    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload>> {
        let maps = self.maps();
        let open = |(key, upload): (&UploadKey, &Upload)| Ok(OpenUpload::new(key.clone(), upload.started, upload.modified));
        stream::iter(maps.uploads.iter().map(open).collect::<Vec<_>>()).boxed()
    }
}
