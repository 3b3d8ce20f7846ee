//! The data: what would be two tables of yours, each function one transaction.

use std::{collections::HashMap, time::SystemTime};

use bytes::Bytes;
use registry_core::{
    Algorithm, Clock, Digest, Hasher, SystemClock,
    store::{StoreError, UploadKey, UploadState},
};

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

/// Each writer has an epoch of its own; only that of the newest counts.
#[derive(Debug)]
pub(crate) struct Upload {
    bytes: Vec<u8>,
    algorithm: Algorithm,
    epoch: u64,
    pub(crate) started: SystemTime,
    pub(crate) modified: SystemTime,
}

impl Upload {
    /// It is hashed at the end, so the saved hash covers nothing.
    pub(crate) fn state(&self) -> UploadState {
        let hash = Hasher::new(self.algorithm).save();
        UploadState::new(self.bytes.len() as u64, hash, self.epoch.to_be_bytes())
    }
}

impl Maps {
    pub(crate) fn begin(&mut self, key: &UploadKey, algorithm: Algorithm) -> UploadState {
        let now = SystemClock.now();
        let upload = Upload {
            bytes: Vec::new(),
            algorithm,
            epoch: 0,
            started: now,
            modified: now,
        };
        let state = upload.state();
        self.uploads.insert(key.clone(), upload);
        state
    }

    /// Supersedes the writer before.
    pub(crate) fn take_over(
        &mut self,
        key: &UploadKey,
        from: &UploadState,
    ) -> Result<UploadState, StoreError> {
        let upload = self.newest(key, from)?;
        upload.epoch += 1;
        Ok(upload.state())
    }

    pub(crate) fn append(
        &mut self,
        key: &UploadKey,
        at: &UploadState,
        bytes: &[u8],
    ) -> Result<UploadState, StoreError> {
        let upload = self.newest(key, at)?;
        upload.bytes.extend_from_slice(bytes);
        upload.modified = SystemClock.now();
        Ok(upload.state())
    }

    pub(crate) fn bytes(&mut self, key: &UploadKey, at: &UploadState) -> Result<&[u8], StoreError> {
        Ok(&self.newest(key, at)?.bytes)
    }

    pub(crate) fn commit(
        &mut self,
        key: &UploadKey,
        state: &UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let bytes = std::mem::take(&mut self.newest(key, state)?.bytes).into();
        self.uploads.remove(key);
        let at = SystemClock.now();
        self.blobs.insert(digest.clone(), Stored { bytes, at });
        Ok(())
    }

    fn newest(&mut self, key: &UploadKey, state: &UploadState) -> Result<&mut Upload, StoreError> {
        let upload = self.uploads.get_mut(key).filter(|upload| upload.state() == *state);
        upload.ok_or_else(|| StoreError::conflict("somebody else went on with it"))
    }
}
