//! An upload: its bytes so far, and who may write the next.

use std::time::SystemTime;

use registry_core::{Algorithm, Hasher, store::UploadState};

/// Each writer has an epoch of its own; only that of the newest counts.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) epoch: u64,
    algorithm: Algorithm,
    pub(crate) started: SystemTime,
    pub(crate) modified: SystemTime,
}

impl Upload {
    pub(crate) fn new(algorithm: Algorithm, now: SystemTime) -> Self {
        Self {
            bytes: Vec::new(),
            epoch: 0,
            algorithm,
            started: now,
            modified: now,
        }
    }

    /// It is hashed at the end, so the saved hash covers nothing.
    pub(crate) fn state(&self) -> UploadState {
        let hash = Hasher::new(self.algorithm).save();
        UploadState::new(self.bytes.len() as u64, hash, self.epoch.to_be_bytes())
    }
}
