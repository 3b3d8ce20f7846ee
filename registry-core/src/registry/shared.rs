//! A registry that is shared is a registry.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Chunk, Finish, GetBlob, Manifest, ManifestPush, PushedManifest, ReferrersFilter, Registry,
    StartUpload, UploadId, UploadSession, UploadStart, UploadState,
};
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
