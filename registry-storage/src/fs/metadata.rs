//! The metadata half on disk: what is remembered is answered at once, for the rest a thread waits.

use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use registry_core::{
    Clock, Descriptor, Digest, Expect, Listing, Page, RepositoryName, Tag,
    access::Visible,
    store::{
        BlobLink, Capabilities, ManifestRecord, MetadataStore, ReferrersFilter, StoreError,
        StoredManifest, TagChange,
    },
};

use super::{
    blocking, listable,
    publish::{Publisher, Unsynced},
    records::Records,
};
use crate::layout::Layout;

#[derive(Debug)]
pub(super) struct FsMetadata(Arc<Records>);

impl FsMetadata {
    pub(super) fn new(
        layout: Arc<Layout>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let inner = Records::new(layout, publisher, clock);
        Self(Arc::new(inner))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Records) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        blocking(move || work(&inner)).await
    }
}

#[async_trait]
impl MetadataStore for FsMetadata {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_atomic_tags()
    }

    async fn check(&self) -> Result<(), StoreError> {
        listable(self.0.layout.root(), self.0.layout.repositories()).await
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<(), StoreError> {
        let path = self.0.layout.layer(repository, digest);
        self.run(move |records| {
            let mut unsynced = Unsynced::default();
            records.links.write(&path, &link.target, &mut unsynced)?;
            records.publisher.sync(&unsynced)
        })
        .await
    }

    async fn blob_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobLink>, StoreError> {
        if digest.content_algorithm().is_none() {
            return Ok(None);
        }
        let path = self.0.layout.layer(repository, digest);
        let target = match self.0.links.known(&path) {
            Some(target) => Some(target),
            None => self.run(move |records| records.links.read(&path)).await?,
        };
        Ok(target.map(|target| BlobLink::new(target, None)))
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        if digest.content_algorithm().is_none() {
            return Ok(false);
        }
        let path = self.0.layout.layer(repository, digest);
        self.run(move |records| records.links.remove(&path)).await
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError> {
        let turn = self.0.tags.turn(repository).await;
        let (repository, tags) = (repository.clone(), tags.to_vec());
        self.run(move |records| {
            let _turn = turn;
            records.put_manifest(&repository, &record, &tags)
        })
        .await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        if digest.content_algorithm().is_none() {
            return Ok(None);
        }
        let path = self.0.layout.revision(repository, digest);
        if self.0.links.known(&path).is_some()
            && let Some(manifest) = self.0.manifests.known(digest)
        {
            return Ok(Some(manifest));
        }
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run(move |records| records.manifest(&repository, &digest))
            .await
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        if digest.content_algorithm().is_none() {
            return Ok(false);
        }
        let turn = self.0.tags.turn(repository).await;
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run(move |records| {
            let _turn = turn;
            records.delete_manifest(&repository, &digest)
        })
        .await
    }

    async fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        let current = self
            .0
            .links
            .known(&self.0.layout.tag_current(repository, tag));
        if let Some(digest) = current
            && self
                .0
                .links
                .known(&self.0.layout.revision(repository, &digest))
                .is_some()
        {
            return Ok(Some(digest));
        }
        let (repository, tag) = (repository.clone(), tag.clone());
        self.run(move |records| records.tag(&repository, &tag))
            .await
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError> {
        let turn = self.0.tags.turn(repository).await;
        let (repository, tag, expect) = (repository.clone(), tag.clone(), expect.clone());
        self.run(move |records| {
            let _turn = turn;
            records.delete_tag(&repository, &tag, &expect)
        })
        .await
    }

    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        let paths = [
            self.0.layout.layers(repository),
            self.0.layout.manifests(repository),
        ];
        self.run(move |_| Ok(paths.iter().any(|path| path.is_dir())))
            .await
    }

    async fn repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        let visible = visible.clone();
        self.run(move |records| records.repositories(&page, &visible))
            .await
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>, StoreError> {
        let repository = repository.clone();
        self.run(move |records| records.tags(&repository, &page))
            .await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        let (repository, subject) = (repository.clone(), subject.clone());
        let filter = filter.clone();
        self.run(move |records| records.referrers(&repository, &subject, &page, &filter))
            .await
    }

    fn live_digests(&self) -> BoxStream<'_, Result<Digest, StoreError>> {
        let walk = async move { self.run(Records::live).await };
        walk.into_stream()
            .map_ok(|found| stream::iter(found).map(Ok))
            .try_flatten()
            .boxed()
    }
}
