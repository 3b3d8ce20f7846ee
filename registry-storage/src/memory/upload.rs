//! One upload: its bytes, its hash, and whose turn it is.

use std::time::SystemTime;

use bytes::Bytes;
use registry_core::{
    Algorithm, Hasher,
    store::{StoreError, UploadState},
};

use super::pieces::{Growing, Pieces};

/// Who may write to an upload; each is given out once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Epoch {
    /// The next one, of the counter `self`.
    pub(super) fn draw(&mut self) -> Self {
        self.0 += 1;
        *self
    }
}

/// An upload. It outlives its end in the hands of a writer that was superseded.
#[derive(Debug)]
pub(super) struct Upload {
    /// Whose turn it is; `None` once it was committed or aborted.
    epoch: Option<Epoch>,
    content: Growing,
    hasher: Hasher,
    /// When it was begun.
    pub(super) started: SystemTime,
    /// When bytes last arrived.
    pub(super) modified: SystemTime,
}

impl Upload {
    /// An upload without bytes.
    pub(super) fn new(epoch: Epoch, algorithm: Algorithm, now: SystemTime) -> Self {
        Self {
            epoch: Some(epoch),
            content: Growing::default(),
            hasher: Hasher::new(algorithm),
            started: now,
            modified: now,
        }
    }

    /// How far it has come, unless it has ended.
    pub(super) fn state(&self) -> Option<UploadState> {
        let epoch = self.epoch?;
        Some(UploadState::new(
            self.content.length(),
            self.hasher.save(),
            epoch.0.to_le_bytes(),
        ))
    }

    /// Gives the turn to `next`, if `from` is the newest state.
    pub(super) fn take_over(&mut self, from: &UploadState, next: Epoch) -> Result<(), StoreError> {
        self.newest(from)?;
        self.epoch = Some(next);
        Ok(())
    }

    /// Adds a piece, if it is still the turn of `epoch`.
    pub(super) fn append(
        &mut self,
        epoch: Epoch,
        bytes: Bytes,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.turn(epoch)?;
        self.hasher.update(&bytes);
        self.content.push(bytes);
        self.modified = now;
        Ok(())
    }

    /// Fails unless it is the turn of `epoch`.
    pub(super) fn turn(&self, epoch: Epoch) -> Result<(), StoreError> {
        if self.epoch == Some(epoch) {
            Ok(())
        } else {
            Err(superseded())
        }
    }

    /// Fails unless `state` is the newest one.
    pub(super) fn newest(&self, state: &UploadState) -> Result<(), StoreError> {
        let epoch = self.epoch.map(|epoch| epoch.0.to_le_bytes());
        let same = epoch.is_some_and(|epoch| epoch[..] == state.private[..]);
        if same && state.length == self.content.length() {
            Ok(())
        } else {
            Err(superseded())
        }
    }

    /// What has arrived, or `None` after the end.
    pub(super) fn content(&mut self) -> Option<Pieces> {
        self.epoch.map(|_| self.content.snapshot())
    }

    /// Ends it: whoever still writes is superseded.
    pub(super) fn end(&mut self) {
        self.epoch = None;
        self.content = Growing::default();
    }
}

/// Somebody else has the turn, or the upload has ended.
pub(super) fn superseded() -> StoreError {
    StoreError::conflict("the upload was continued or ended by somebody else")
}
