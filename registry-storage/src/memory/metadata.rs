//! The half that keeps what repositories hold: all of it under one lock, so that each call is one
//! point in time.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use registry_core::{
    Descriptor, Digest, Expect, Listing, Page, RepositoryName, Tag,
    access::Visible,
    store::{
        BlobLink, Capabilities, ManifestRecord, MetadataStore, ReferrersFilter, StoreError,
        StoreErrorKind, StoredManifest, TagChange,
    },
};

use super::{
    MemoryStorage, lock,
    name::{ByName, behind},
    repository::Repository,
};

/// Everything of this half.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    all: BTreeMap<RepositoryName, Repository>,
    /// Those with a manifest.
    catalog: BTreeMap<ByName<RepositoryName>, ()>,
}

impl Repositories {
    /// Keeps the catalog in step after a change of manifests.
    fn settle(&mut self, name: &RepositoryName) {
        if self.all.get(name).is_some_and(Repository::has_manifests) {
            self.catalog.insert(ByName(name.clone()), ());
        } else {
            self.catalog.remove(name.as_str());
        }
    }
}

#[async_trait]
impl MetadataStore for MemoryStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_atomic_tags()
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<(), StoreError> {
        content(digest)?;
        content(&link.target)?;
        let mut repositories = lock(&self.repositories);
        let repository = repositories.all.entry(repository.clone()).or_default();
        repository.links.insert(digest.clone(), link);
        Ok(())
    }

    async fn blob_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobLink>, StoreError> {
        let repositories = lock(&self.repositories);
        let repository = repositories.all.get(repository);
        Ok(repository.and_then(|repository| repository.links.get(digest).cloned()))
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let mut repositories = lock(&self.repositories);
        let repository = repositories.all.get_mut(repository);
        Ok(repository.is_some_and(|repository| repository.links.remove(digest).is_some()))
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError> {
        content(&record.descriptor.digest)?;
        let mut repositories = lock(&self.repositories);
        let held = repositories.all.entry(repository.clone()).or_default();
        let changes = held.put(record, tags);
        repositories.settle(repository);
        Ok(changes)
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        let repositories = lock(&self.repositories);
        let repository = repositories.all.get(repository);
        Ok(repository.and_then(|repository| repository.manifest(digest)))
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let mut repositories = lock(&self.repositories);
        let held = repositories.all.get_mut(repository);
        let deleted = held.is_some_and(|held| held.delete(digest));
        repositories.settle(repository);
        Ok(deleted)
    }

    async fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        let repositories = lock(&self.repositories);
        let repository = repositories.all.get(repository);
        Ok(repository.and_then(|repository| repository.tag(tag).cloned()))
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError> {
        let mut repositories = lock(&self.repositories);
        let repository = repositories.all.get_mut(repository);
        let none = TagChange::Refused(None);
        Ok(repository.map_or(none, |repository| repository.delete_tag(tag, expect)))
    }

    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        Ok(lock(&self.repositories).all.contains_key(repository))
    }

    async fn repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        let repositories = lock(&self.repositories);
        let mut names = behind(&repositories.catalog, page.after.as_deref())
            .map(|(name, ())| name)
            .filter(|name| visible.contains(name))
            .cloned();
        let items: Vec<_> = names.by_ref().take(page.limit).collect();
        let more = page.limit > 0 && names.next().is_some();
        Ok(Listing::new(items, more))
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>, StoreError> {
        let repositories = lock(&self.repositories);
        let repository = repositories.all.get(repository);
        Ok(repository.map_or_else(Listing::empty, |repository| repository.tags(&page)))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        let repositories = lock(&self.repositories);
        match repositories.all.get(repository) {
            Some(repository) => repository.referrers(subject, &page, filter),
            None => Ok(Listing::empty()),
        }
    }

    fn live_digests(&self) -> BoxStream<'_, Result<Digest, StoreError>> {
        let repositories = lock(&self.repositories);
        let live = repositories.all.values().flat_map(Repository::digests);
        let live: Vec<_> = live.cloned().map(Ok).collect();
        stream::iter(live).boxed()
    }
}

/// Refuses a digest that content cannot be stored under.
fn content(digest: &Digest) -> Result<(), StoreError> {
    if digest.content_algorithm().is_some() {
        return Ok(());
    }
    let message = format!("nothing is stored under {}", digest.algorithm());
    Err(StoreError::new(StoreErrorKind::Other, message))
}
