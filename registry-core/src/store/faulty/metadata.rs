//! The half that keeps records.

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::{Faulty, Op};
use crate::{
    access::Visible,
    descriptor::Descriptor,
    digest::Digest,
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Tag},
    store::{
        BlobLink, Capabilities, ManifestRecord, MetadataStore, ReferrersFilter, StoreError,
        StoredManifest, TagChange,
    },
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: MetadataStore + ?Sized> MetadataStore for Faulty<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.call(Op::CheckRecords, self.inner.check()).await
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<(), StoreError> {
        self.call(Op::LinkBlob, self.inner.link_blob(repository, digest, link))
            .await
    }

    async fn blob_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobLink>, StoreError> {
        self.call(Op::BlobLink, self.inner.blob_link(repository, digest))
            .await
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        self.call(Op::UnlinkBlob, self.inner.unlink_blob(repository, digest))
            .await
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError> {
        self.call(
            Op::PutManifest,
            self.inner.put_manifest(repository, record, tags),
        )
        .await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        self.call(Op::Manifest, self.inner.manifest(repository, digest))
            .await
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        self.call(
            Op::DeleteManifest,
            self.inner.delete_manifest(repository, digest),
        )
        .await
    }

    async fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        self.call(Op::Tag, self.inner.tag(repository, tag)).await
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError> {
        self.call(
            Op::DeleteTag,
            self.inner.delete_tag(repository, tag, expect),
        )
        .await
    }

    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        self.call(
            Op::RepositoryExists,
            self.inner.repository_exists(repository),
        )
        .await
    }

    async fn repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        self.call(Op::Repositories, self.inner.repositories(page, visible))
            .await
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>, StoreError> {
        self.call(Op::Tags, self.inner.tags(repository, page)).await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        self.call(
            Op::Referrers,
            self.inner.referrers(repository, subject, page, filter),
        )
        .await
    }

    fn live_digests(&self) -> BoxStream<'_, Result<Digest, StoreError>> {
        self.list_entries(Op::LiveDigests, self.inner.live_digests())
    }
}
