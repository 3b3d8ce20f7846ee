//! What a registry answers.

use bytes::Bytes;

use super::{UploadId, UploadState};
use crate::{descriptor::Descriptor, digest::Digest, name::RepositoryName, reference::Tag};

/// What became of the start of an upload.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the specification knows these two")]
pub enum UploadStart {
    /// The blob was mounted: nothing needs to be sent.
    Mounted {
        /// The blob.
        descriptor: Descriptor,
        /// The repository that had it.
        from: RepositoryName,
    },
    /// An upload was started.
    Started(UploadSession),
}

/// An upload under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadSession {
    /// Its identifier.
    pub id: UploadId,
    /// How many bytes have arrived: the offset of the next one.
    pub offset: u64,
    /// What its store wants to see again, where it wants that.
    pub hint: Option<UploadState>,
}

impl UploadSession {
    /// A session.
    pub fn new(id: UploadId, offset: u64, hint: Option<UploadState>) -> Self {
        Self { id, offset, hint }
    }
}

/// A manifest as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// Its media type, the digest it was asked for by or is tagged with, its size.
    pub descriptor: Descriptor,
    /// Its bytes, verbatim.
    pub bytes: Bytes,
}

impl Manifest {
    /// A manifest.
    pub fn new(descriptor: Descriptor, bytes: Bytes) -> Self {
        Self { descriptor, bytes }
    }
}

/// A manifest that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushedManifest {
    /// What was stored, under the digest it was pushed by.
    pub descriptor: Descriptor,
    /// Its subject, if it has one.
    pub subject: Option<Digest>,
    /// The tags that were set.
    pub tags: Vec<Tag>,
}

impl PushedManifest {
    /// A pushed manifest.
    pub fn new(descriptor: Descriptor, subject: Option<Digest>, tags: Vec<Tag>) -> Self {
        Self {
            descriptor,
            subject,
            tags,
        }
    }
}
