//! Seam 1: the verbs of the specification on typed names. No HTTP, no storage keys.
//!
//! A [`Registry`] is the engine over its stores, a wrapper around another registry (a layer), or
//! anything else that answers these verbs. Everything that composes, composes here.
//!
//! # Cancellation
//!
//! Dropping the future of a method that reads leaves nothing behind. Dropping that of one that
//! writes leaves the write done, not done, or done as far as the method says; the same call can be
//! made again. Whoever needs a write finished although its client left runs it as a task of its own,
//! as the HTTP service does.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

pub use crate::store::{ReferrersFilter, UploadId, UploadState};
use crate::{
    access::{Context, Visible},
    content::{BlobReply, ByteStream},
    descriptor::Descriptor,
    digest::Digest,
    error::Result,
    hash::Algorithm,
    media_type::MediaType,
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Reference, Tag},
};

/// A registry: the verbs of distribution-spec.
///
/// Errors are named by the [`ErrorCode`](crate::ErrorCode)s that callers tell apart; any method may
/// also answer `Unavailable` (a store does not answer) and `Unknown` (a fault of this registry), and
/// layers may add their own, such as `Denied`.
#[async_trait]
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// Describes a blob of a repository (end-2, HEAD).
    ///
    /// # Errors
    ///
    /// `BlobUnknown` when this repository does not have it.
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor>;

    /// Opens a blob of a repository, or says where to fetch it (end-2, GET).
    ///
    /// # Errors
    ///
    /// `BlobUnknown` when this repository does not have it.
    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply>;

    /// Removes a blob from this repository, and from this one alone (end-10).
    ///
    /// # Errors
    ///
    /// `BlobUnknown` when it is not there; `Unsupported` when deletes are off.
    async fn delete_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()>;

    /// Starts an upload (end-4), or mounts a blob that another repository has (end-11). A mount that
    /// cannot be had is no error: an upload is started instead.
    ///
    /// # Errors
    ///
    /// `TooManyRequests` when too many uploads are open.
    async fn start_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart>;

    /// How far an upload has come (end-13).
    ///
    /// # Errors
    ///
    /// `BlobUploadUnknown` when there is none.
    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession>;

    /// Appends a chunk (end-5). What arrived of a chunk that was cut is kept; dropping the future
    /// cuts it.
    ///
    /// # Errors
    ///
    /// `BlobUploadUnknown` when there is no such upload; `RangeInvalid` when the chunk is not the
    /// next one, or another writer took over; `SizeInvalid` when it was cut or has not the length it
    /// declared; `TooLarge` when the blob would be too large. The upload stands after each.
    async fn append_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession>;

    /// Appends a last chunk, verifies the digest and makes the upload a blob of this repository
    /// (end-6). Doing so again after the answer was lost is no error.
    ///
    /// # Errors
    ///
    /// Those of [`append_upload`](Self::append_upload); `DigestInvalid` when the content has another
    /// digest, or one of an algorithm that cannot be stored: the upload stands.
    async fn finish_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor>;

    /// Ends an upload and drops what arrived (end-14). It needs the right to push, not to delete.
    ///
    /// # Errors
    ///
    /// `BlobUploadUnknown` when there is none.
    async fn cancel_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()>;

    /// Describes a manifest (end-3, HEAD).
    ///
    /// # Errors
    ///
    /// `ManifestUnknown` when this repository does not have it, `NameUnknown` when the repository is
    /// not known.
    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor>;

    /// Reads a manifest, verbatim as it was pushed (end-3, GET).
    ///
    /// # Errors
    ///
    /// As [`stat_manifest`](Self::stat_manifest).
    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest>;

    /// Stores a manifest and sets tags to it (end-7). Dropping the future may leave the manifest
    /// stored, with some of the tags set.
    ///
    /// # Errors
    ///
    /// `ManifestInvalid`, `ManifestBlobUnknown`, `DigestInvalid`, `TooLarge` for what is wrong with
    /// the document; `PreconditionFailed` when no tag is as expected: nothing is tagged then.
    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest>;

    /// Deletes a tag, or a manifest with every tag that points to it (end-9).
    ///
    /// # Errors
    ///
    /// `ManifestUnknown` when it is not there; `PreconditionFailed` when it is not as expected;
    /// `Unsupported` when deletes are off.
    async fn delete_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()>;

    /// Lists the repositories that have a manifest (Distribution's catalog).
    ///
    /// # Errors
    ///
    /// None of its own.
    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>>;

    /// Lists the tags of a repository (end-8).
    ///
    /// # Errors
    ///
    /// `NameUnknown` when the repository is not known.
    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>>;

    /// Lists the manifests that have `subject` as their subject (end-12). The subject, and the
    /// repository, need not exist.
    ///
    /// # Errors
    ///
    /// None of its own.
    async fn list_referrers(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>>;
}

/// How a blob is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetBlob {
    /// Answer with the blob itself, never with a redirect.
    pub direct: bool,
}

impl GetBlob {
    /// Answer with the blob itself.
    pub fn direct() -> Self {
        Self { direct: true }
    }
}

/// How an upload is started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StartUpload {
    /// The algorithm that the digest will be of, where the client says so (end-4c).
    pub algorithm: Option<Algorithm>,
    /// The blob to mount instead, if it can be had.
    pub mount: Option<Mount>,
    /// The repositories that the caller may pull from: all that a mount may use.
    pub visible: Visible,
}

impl StartUpload {
    /// An upload, hashed under that algorithm as it arrives.
    pub fn algorithm(algorithm: Algorithm) -> Self {
        Self {
            algorithm: Some(algorithm),
            ..Self::default()
        }
    }

    /// A mount, or an upload if it cannot be had.
    pub fn mount(mount: Mount) -> Self {
        Self {
            mount: Some(mount),
            ..Self::default()
        }
    }
}

/// A blob to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// The blob.
    pub digest: Digest,
    /// The repository that has it; `None` is any.
    pub from: Option<RepositoryName>,
}

impl Mount {
    /// That blob, from that repository or any.
    pub fn new(digest: Digest, from: Option<RepositoryName>) -> Self {
        Self { digest, from }
    }
}

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

/// A chunk of an upload.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chunk {
    /// The offset of its first byte, where the client says so.
    pub start: Option<u64>,
    /// How many bytes it has, where the client says so.
    pub length: Option<u64>,
    /// Its bytes.
    pub body: ByteStream,
    /// What the session carried as its hint.
    pub hint: Option<UploadState>,
}

impl Chunk {
    /// These bytes, at the end of what is there.
    pub fn new(body: impl Into<ByteStream>) -> Self {
        Self {
            start: None,
            length: None,
            body: body.into(),
            hint: None,
        }
    }

    /// States the offset of its first byte.
    #[must_use]
    pub fn at(self, start: u64) -> Self {
        Self {
            start: Some(start),
            ..self
        }
    }

    /// States its length.
    #[must_use]
    pub fn length(self, length: u64) -> Self {
        Self {
            length: Some(length),
            ..self
        }
    }

    /// Passes on the hint of the session.
    #[must_use]
    pub fn hint(self, hint: Option<UploadState>) -> Self {
        Self { hint, ..self }
    }
}

/// How an upload is finished.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finish {
    /// The digest of the whole content.
    pub digest: Digest,
    /// The last chunk; it may be empty.
    pub chunk: Chunk,
}

impl Finish {
    /// Nothing more to send.
    pub fn new(digest: Digest) -> Self {
        Self {
            digest,
            chunk: Chunk::new(ByteStream::empty()).length(0),
        }
    }

    /// With a last chunk.
    #[must_use]
    pub fn chunk(self, chunk: Chunk) -> Self {
        Self { chunk, ..self }
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

/// A manifest to push.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManifestPush {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its media type; `None` is whatever the document says.
    pub media_type: Option<MediaType>,
    /// The digest it is pushed by; `None` is that of its bytes, under SHA-256.
    pub digest: Option<Digest>,
    /// What is expected of a manifest of that digest, where it is pushed by digest without tags.
    pub expect: Expect,
    /// The tags to set, each with what is expected of it.
    pub tags: Vec<(Tag, Expect)>,
}

impl ManifestPush {
    /// A manifest without tags.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            media_type: None,
            digest: None,
            expect: Expect::Any,
            tags: Vec::new(),
        }
    }

    /// States its media type.
    #[must_use]
    pub fn media_type(self, media_type: MediaType) -> Self {
        Self {
            media_type: Some(media_type),
            ..self
        }
    }

    /// States its digest.
    #[must_use]
    pub fn digest(self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }

    /// States what is expected of a manifest of its digest.
    #[must_use]
    pub fn expect(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    /// Sets a tag, if it is as expected.
    #[must_use]
    pub fn tag(mut self, tag: Tag, expect: Expect) -> Self {
        self.tags.push((tag, expect));
        self
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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Registry + ?Sized> Registry for Arc<R> {
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        (**self).stat_blob(cx, repository, digest).await
    }

    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        (**self).get_blob(cx, repository, digest, options).await
    }

    async fn delete_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        (**self).delete_blob(cx, repository, digest).await
    }

    async fn start_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        (**self).start_upload(cx, repository, request).await
    }

    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        (**self).upload_session(cx, repository, id, hint).await
    }

    async fn append_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        (**self).append_upload(cx, repository, id, chunk).await
    }

    async fn finish_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        (**self).finish_upload(cx, repository, id, finish).await
    }

    async fn cancel_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        (**self).cancel_upload(cx, repository, id, hint).await
    }

    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        (**self).stat_manifest(cx, repository, reference).await
    }

    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        (**self).get_manifest(cx, repository, reference).await
    }

    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        (**self).put_manifest(cx, repository, push).await
    }

    async fn delete_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()> {
        (**self)
            .delete_manifest(cx, repository, reference, expect)
            .await
    }

    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        (**self).list_repositories(cx, page, visible).await
    }

    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        (**self).list_tags(cx, repository, page).await
    }

    async fn list_referrers(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        (**self)
            .list_referrers(cx, repository, subject, page, filter)
            .await
    }
}
