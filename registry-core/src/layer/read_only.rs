//! A registry that takes no writes.

use async_trait::async_trait;

use crate::{
    access::{Context, Visible},
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Reference, Tag},
    registry::{
        Chunk, Finish, GetBlob, Manifest, ManifestPush, PushedManifest, ReferrersFilter, Registry,
        StartUpload, UploadId, UploadSession, UploadStart, UploadState,
    },
};

/// Passes on what reads, and answers `Unsupported` to what writes: nothing that is inside can be
/// changed through it.
///
/// ```
/// use registry_core::{
///     Context, ErrorCode, Reference, Registry, RepositoryName, layer::ReadOnly, Expect, Tag,
/// };
///
/// async fn delete(registry: impl Registry, name: &RepositoryName, tag: Tag) {
///     let mirror = ReadOnly::new(registry);
///     let deleted = mirror
///         .delete_manifest(&Context::anonymous(), name, &Reference::Tag(tag), Expect::Any)
///         .await;
///     assert_eq!(deleted.unwrap_err().code(), ErrorCode::Unsupported);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ReadOnly<R> {
    inner: R,
}

impl<R: Registry> ReadOnly<R> {
    /// `inner`, to be read only.
    pub fn new(inner: R) -> Self {
        Self { inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Registry> Registry for ReadOnly<R> {
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        self.inner.stat_blob(cx, repository, digest).await
    }

    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        self.inner.get_blob(cx, repository, digest, options).await
    }

    async fn delete_blob(&self, _: &Context, _: &RepositoryName, _: &Digest) -> Result<()> {
        Err(refused())
    }

    async fn start_upload(
        &self,
        _: &Context,
        _: &RepositoryName,
        _: StartUpload,
    ) -> Result<UploadStart> {
        Err(refused())
    }

    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        self.inner.upload_session(cx, repository, id, hint).await
    }

    async fn append_upload(
        &self,
        _: &Context,
        _: &RepositoryName,
        _: &UploadId,
        _: Chunk,
    ) -> Result<UploadSession> {
        Err(refused())
    }

    async fn finish_upload(
        &self,
        _: &Context,
        _: &RepositoryName,
        _: &UploadId,
        _: Finish,
    ) -> Result<Descriptor> {
        Err(refused())
    }

    async fn cancel_upload(
        &self,
        _: &Context,
        _: &RepositoryName,
        _: &UploadId,
        _: Option<UploadState>,
    ) -> Result<()> {
        Err(refused())
    }

    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        self.inner.stat_manifest(cx, repository, reference).await
    }

    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        self.inner.get_manifest(cx, repository, reference).await
    }

    async fn put_manifest(
        &self,
        _: &Context,
        _: &RepositoryName,
        _: ManifestPush,
    ) -> Result<PushedManifest> {
        Err(refused())
    }

    async fn delete_manifest(
        &self,
        _: &Context,
        _: &RepositoryName,
        _: &Reference,
        _: Expect,
    ) -> Result<()> {
        Err(refused())
    }

    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        self.inner.list_repositories(cx, page, visible).await
    }

    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        self.inner.list_tags(cx, repository, page).await
    }

    async fn list_referrers(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        self.inner
            .list_referrers(cx, repository, subject, page, filter)
            .await
    }
}

fn refused() -> Error {
    Error::new(ErrorCode::Unsupported, "this registry is read-only")
}
