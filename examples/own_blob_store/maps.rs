//! The data: what would be two tables of yours, each function one transaction.

use std::{collections::HashMap, time::SystemTime};

use bytes::Bytes;
use registry_core::{
    Algorithm, Blob, Clock, Digest, SystemClock,
    store::{StoreError, StoreErrorKind, UploadKey, UploadState},
};

use crate::upload::Upload;

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub(crate) blobs: HashMap<Digest, Stored>,
    pub(crate) uploads: HashMap<UploadKey, Upload>,
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) at: SystemTime,
}

impl Stored {
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn blob(&self) -> Blob {
        Blob::new(self.size(), self.bytes.clone())
    }
}

impl Maps {
    pub(crate) fn begin(&mut self, key: &UploadKey, algorithm: Algorithm) -> UploadState {
        let upload = Upload::new(algorithm, SystemClock.now());
        let state = upload.state();
        self.uploads.insert(key.clone(), upload);
        state
    }

    /// Supersedes the writer before.
    pub(crate) fn take_over(&mut self, key: &UploadKey, from: &UploadState) -> Result<UploadState> {
        let upload = self.newest(key, from)?;
        upload.epoch += 1;
        Ok(upload.state())
    }

    pub(crate) fn append(
        &mut self,
        key: &UploadKey,
        at: &UploadState,
        bytes: &[u8],
    ) -> Result<UploadState> {
        let upload = self.newest(key, at)?;
        upload.bytes.extend_from_slice(bytes);
        upload.modified = SystemClock.now();
        Ok(upload.state())
    }

    /// What `state` covers never changes: it need not be the newest.
    pub(crate) fn covered(&self, key: &UploadKey, state: &UploadState) -> Result<&[u8]> {
        let bytes = self.uploads.get(key).map(|upload| &upload.bytes[..]);
        let covered = bytes.and_then(|bytes| bytes.get(..usize::try_from(state.length).ok()?));
        covered.ok_or_else(|| StoreError::conflict("the upload is gone"))
    }

    pub(crate) fn commit(
        &mut self,
        key: &UploadKey,
        state: &UploadState,
        digest: &Digest,
    ) -> Result<()> {
        if digest.content_algorithm().is_none() {
            return Err(StoreError::new(
                StoreErrorKind::Other,
                "not an algorithm of ours",
            ));
        }
        let bytes = std::mem::take(&mut self.newest(key, state)?.bytes).into();
        self.uploads.remove(key);
        let at = SystemClock.now();
        self.blobs.insert(digest.clone(), Stored { bytes, at });
        Ok(())
    }

    /// The upload, if `state` is its newest.
    fn newest(&mut self, key: &UploadKey, state: &UploadState) -> Result<&mut Upload> {
        let found = self.uploads.get_mut(key);
        let newest = found.filter(|upload| upload.state() == *state);
        newest.ok_or_else(|| StoreError::conflict("somebody else went on with it"))
    }
}
