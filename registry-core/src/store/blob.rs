//! Seam 2a: big immutable bytes, and the uploads that become them.

use std::{fmt, io, str::FromStr, sync::Arc, time::Duration, time::SystemTime};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{
    content::{Blob, ByteStream},
    digest::Digest,
    entropy::Entropy,
    hash::{Algorithm, HashState},
    location::Location,
    name::RepositoryName,
};

/// Stores blobs by their digest, whichever repository they are in.
///
/// # Contract
///
/// - A blob is never visible in part and never changes. A reader that opened it can read it to its
///   end, whatever is deleted meanwhile.
/// - Bytes that an [`UploadState`] covers never change any more, not even by a writer that was
///   superseded.
/// - A state that outlives the process covers only bytes that were durable before it was saved.
/// - An upload has one writer. Whoever writes next from the newest state supersedes the writer
///   before, whose next step ends with [`Conflict`](super::StoreErrorKind::Conflict) without having
///   written. Commit and abort supersede too.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Whether blobs can be read: for health checks, every few seconds. It costs no more than a
    /// look-up and leaves nothing behind. A store that is full or read-only still serves.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or is not there any more.
    async fn check(&self) -> Result<(), StoreError>;

    /// The size of a blob.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;

    /// Opens a blob for reading.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>, StoreError>;

    /// A URL from which a client can read the blob itself for at least `lifetime`. `None` when the
    /// store has no such thing, or has no such blob.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn location(
        &self,
        digest: &Digest,
        lifetime: Duration,
    ) -> Result<Option<Location>, StoreError>;

    /// Deletes a blob, in whichever repositories it may be linked; `false` when there was none.
    /// Idempotent.
    ///
    /// # Errors
    ///
    /// When it may still be there.
    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError>;

    /// Every blob, in no order. What is not a blob of this store's is left out.
    fn list(&self) -> BoxStream<'_, Result<StoredBlob, StoreError>>;

    /// Begins an upload. It may cost nothing: an upload that nobody writes to need not outlive the
    /// process where its state can be carried by the client.
    ///
    /// # Errors
    ///
    /// When the upload could not be begun; nothing is left behind.
    async fn begin_upload(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError>;

    /// What is safely there of an upload now, or `None` when there is no such upload: never begun,
    /// committed, aborted, or begun in another repository.
    ///
    /// `hint` is a state that this store issued for this very key; a store that needs none ignores
    /// it. A running writer is not disturbed.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn upload(
        &self,
        key: &UploadKey,
        hint: Option<UploadState>,
    ) -> Result<Option<UploadState>, StoreError>;

    /// Writes the bytes of `body` behind those that `from` covers, hashing them on the way.
    ///
    /// When the body ends early, by an error of its stream, the bytes that arrived are kept and the
    /// answer says [`BodyEnd::Cut`]: a client can go on from [`Written::state`]. Dropping the future
    /// keeps what had reached the store, as a cut does. The body is not polled before the store has
    /// taken the upload over.
    ///
    /// # Errors
    ///
    /// [`Conflict`](super::StoreErrorKind::Conflict) when `from` is not the newest state, or another
    /// writer, a commit or an abort superseded this one: nothing that they cover is touched. Any
    /// other error keeps what was written before it, too.
    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        body: ByteStream,
    ) -> Result<Written, StoreError>;

    /// The digest of the bytes that `state` covers, under `algorithm`. It re-reads where the state
    /// was hashed under another algorithm, or its hash lags.
    ///
    /// # Errors
    ///
    /// [`Conflict`](super::StoreErrorKind::Conflict) when the upload is gone.
    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError>;

    /// Makes a blob of exactly the bytes that `state` covers, whose digest the caller has found to
    /// be `digest`, and ends the upload. `Ok` means that the blob is durable. Fine when the blob is
    /// there already; one that is there but shorter than its upload is replaced.
    ///
    /// # Errors
    ///
    /// [`Conflict`](super::StoreErrorKind::Conflict) when `state` is not the newest one or the upload
    /// is gone: nothing is published then. After any other error the upload still stands.
    async fn commit_upload(
        &self,
        key: &UploadKey,
        state: UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError>;

    /// Ends an upload and drops its bytes. Idempotent: fine when there is none.
    ///
    /// # Errors
    ///
    /// When something of it may still be there.
    async fn abort_upload(
        &self,
        key: &UploadKey,
        hint: Option<UploadState>,
    ) -> Result<(), StoreError>;

    /// Every upload that is open, in no order, also those that another program left in the store.
    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload, StoreError>>;
}

/// The identifier of an upload: 1 to 128 of `[a-zA-Z0-9._=-]`, not beginning with a dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Arc<str>);

impl UploadId {
    /// The longest identifier, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// A new identifier that nobody can guess, in the form of a UUID, which is what clients and
    /// Distribution are used to.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let hex = entropy.random_hex();
        let part = |range| hex.get(range).unwrap_or_default();
        let text = format!(
            "{}-{}-4{}-8{}-{}",
            part(0..8),
            part(8..12),
            part(13..16),
            part(17..20),
            part(20..32)
        );
        Self(text.into())
    }

    /// Parses an identifier.
    ///
    /// # Errors
    ///
    /// [`InvalidUploadId`] when the text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidUploadId> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.=".contains(&b);
        let valid = (1..=Self::MAX_LENGTH).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(letter);
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidUploadId)
        }
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadId {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, InvalidUploadId> {
        Self::parse(text)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadId({})", self.0)
    }
}

/// A text that is no upload identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an upload identifier is at most {} letters, digits, '-', '_', '.' or '='",
    UploadId::MAX_LENGTH
)]
#[non_exhaustive]
pub struct InvalidUploadId;

/// Which upload: an identifier counts only together with the repository it was begun in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct UploadKey {
    /// The repository.
    pub repository: RepositoryName,
    /// The upload.
    pub id: UploadId,
}

impl UploadKey {
    /// The upload `id` in `repository`.
    pub fn new(repository: RepositoryName, id: UploadId) -> Self {
        Self { repository, id }
    }
}

/// How far an upload has come: what the engine decides by, and all that a store needs to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UploadState {
    /// How many bytes are safely there.
    pub length: u64,
    /// The hash of the first bytes; it may lag behind `length`.
    pub hash: HashState,
    /// What only the store understands: an epoch, the numbers of parts.
    pub private: Vec<u8>,
    /// Whether looking this state up again would cost the store a call, so that it should ride in
    /// the upload's Location. At most 1 KiB, serialized.
    pub hint: bool,
}

impl UploadState {
    /// A state.
    pub fn new(length: u64, hash: HashState, private: impl Into<Vec<u8>>) -> Self {
        Self {
            length,
            hash,
            private: private.into(),
            hint: false,
        }
    }

    /// The algorithm that the bytes are hashed under as they arrive.
    pub fn algorithm(&self) -> Algorithm {
        self.hash.algorithm()
    }
}

/// How a write to an upload ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Written {
    /// How far the upload has come now.
    pub state: UploadState,
    /// How the body ended.
    pub end: BodyEnd,
}

impl Written {
    /// A write that ended so.
    pub fn new(state: UploadState, end: BodyEnd) -> Self {
        Self { state, end }
    }
}

/// How a body ended.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way to end")]
pub enum BodyEnd {
    /// The stream ended.
    Complete,
    /// The stream failed, for this reason.
    Cut(io::Error),
}

/// A blob that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredBlob {
    /// Its digest.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// When it was stored.
    pub modified: SystemTime,
}

impl StoredBlob {
    /// A stored blob.
    pub fn new(digest: Digest, size: u64, modified: SystemTime) -> Self {
        Self {
            digest,
            size,
            modified,
        }
    }
}

/// An upload that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenUpload {
    /// Which.
    pub key: UploadKey,
    /// When it was begun.
    pub started: SystemTime,
    /// When bytes last arrived.
    pub modified: SystemTime,
}

impl OpenUpload {
    /// An open upload.
    pub fn new(key: UploadKey, started: SystemTime, modified: SystemTime) -> Self {
        Self {
            key,
            started,
            modified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn identifiers() {
        let id = UploadId::random(&SystemEntropy);
        assert_eq!(id.as_str().len(), 36);
        assert_eq!(UploadId::parse(id.as_str()), Ok(id));
        for bad in [
            "",
            ".",
            "..",
            ".a",
            "a/b",
            "a\0",
            "a b",
            "ä",
            &"a".repeat(129),
        ] {
            assert_eq!(UploadId::parse(bad), Err(InvalidUploadId), "{bad:?}");
        }
    }
}
