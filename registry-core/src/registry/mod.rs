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

mod content;
mod replies;
mod requests;
mod shared;

use std::fmt;

use async_trait::async_trait;

pub(crate) use self::content::cut;
pub use self::{
    content::ManifestContent,
    replies::{Manifest, PushedManifest, UploadSession, UploadStart},
    requests::{Chunk, Finish, GetBlob, ManifestPush, Mount, StartUpload},
};
pub use crate::store::{ReferrersFilter, UploadId, UploadState};
use crate::{
    access::{Context, Visible},
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    error::Result,
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
    /// declared; `TooLarge` when the blob would be too large. The upload stands after each. When the
    /// storage is full (`Unavailable`) it does not: what arrived is given back.
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
    /// `ManifestUnknown` when this repository does not have it, or is not known.
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
