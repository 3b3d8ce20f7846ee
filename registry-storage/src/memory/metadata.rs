//! Links, manifests, tags and referrers in ordered maps.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use registry_core::{
    Descriptor, Digest, Expect, Listing, Page, RepositoryName, Tag,
    access::Visible,
    store::{
        BlobLink, Capabilities, ManifestRecord, MetadataStore, ReferrersFilter, StoreError,
        StoredManifest, TagChange,
    },
};

#[derive(Debug, Default)]
pub(super) struct MemoryMetadata {
    repositories: Mutex<BTreeMap<RepositoryName, Repository>>,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: HashMap<Digest, BlobLink>,
    manifests: BTreeMap<Digest, ManifestRecord>,
    tags: BTreeMap<Tag, Digest>,
    /// Subject to referrers.
    referrers: HashMap<Digest, BTreeMap<Digest, Descriptor>>,
}

impl MemoryMetadata {
    /// Nothing panics while holding the lock, so what it guards is whole even if it is poisoned.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RepositoryName, Repository>> {
        self.repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, name: &RepositoryName, read: impl FnOnce(&Repository) -> T) -> Option<T> {
        self.lock().get(name).map(read)
    }
}

/// The entries behind `page.after` that `keep` lets through, with one more to see whether there is.
fn paged<'a, T: Clone + 'a>(
    entries: impl Iterator<Item = &'a T>,
    page: &Page,
    keep: impl Fn(&T) -> bool,
) -> Listing<T> {
    if page.limit == 0 {
        return Listing::empty();
    }
    let mut items: Vec<T> = entries
        .filter(|item| keep(item))
        .take(page.limit.saturating_add(1))
        .cloned()
        .collect();
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    Listing::new(items, more)
}

/// The keys of `map` behind the name `after`, which need not be a valid one.
fn behind<'a, K: Ord + AsRef<str>, V>(
    map: &'a BTreeMap<K, V>,
    after: Option<&'a str>,
    key: impl Fn(&str) -> Option<K>,
) -> Box<dyn Iterator<Item = (&'a K, &'a V)> + 'a> {
    match after {
        None => Box::new(map.iter()),
        Some(after) => match key(after) {
            Some(key) => Box::new(map.range((Bound::Excluded(key), Bound::Unbounded))),
            None => Box::new(
                map.iter()
                    .skip_while(move |(name, _)| name.as_ref() <= after),
            ),
        },
    }
}

#[async_trait]
impl MetadataStore for MemoryMetadata {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_atomic_tags()
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<(), StoreError> {
        super::storable(digest)?;
        self.lock()
            .entry(repository.clone())
            .or_default()
            .blobs
            .insert(digest.clone(), link);
        Ok(())
    }

    async fn blob_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobLink>, StoreError> {
        Ok(self
            .read(repository, |inside| inside.blobs.get(digest).cloned())
            .flatten())
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let mut repositories = self.lock();
        Ok(repositories
            .get_mut(repository)
            .is_some_and(|r| r.blobs.remove(digest).is_some()))
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError> {
        super::storable(&record.descriptor.digest)?;
        let mut repositories = self.lock();
        let inside = repositories.entry(repository.clone()).or_default();
        let digest = record.descriptor.digest.clone();
        if let Some(subject) = &record.subject {
            let referrers = inside.referrers.entry(subject.clone()).or_default();
            referrers.insert(digest.clone(), record.descriptor.clone());
        }
        inside.manifests.insert(digest.clone(), record);
        if tags
            .iter()
            .all(|(tag, expect)| expect.holds(inside.tags.get(tag)))
        {
            for (tag, _) in tags {
                inside.tags.insert(tag.clone(), digest.clone());
            }
            return Ok(vec![TagChange::Applied; tags.len()]);
        }
        let refused = |(tag, _): &(Tag, Expect)| TagChange::Refused(inside.tags.get(tag).cloned());
        Ok(tags.iter().map(refused).collect())
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        let stored = |inside: &Repository| {
            let record = inside.manifests.get(digest)?;
            let Descriptor {
                media_type,
                digest,
                size,
                ..
            } = record.descriptor.clone();
            Some(StoredManifest::new(
                Descriptor::new(media_type, digest, size),
                record.bytes.clone(),
            ))
        };
        Ok(self.read(repository, stored).flatten())
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let mut repositories = self.lock();
        let Some(inside) = repositories.get_mut(repository) else {
            return Ok(false);
        };
        inside.tags.retain(|_, target| target != digest);
        let Some(record) = inside.manifests.remove(digest) else {
            return Ok(false);
        };
        if let Some(subject) = record.subject
            && let Some(referrers) = inside.referrers.get_mut(&subject)
        {
            referrers.remove(digest);
            if referrers.is_empty() {
                inside.referrers.remove(&subject);
            }
        }
        Ok(true)
    }

    async fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        Ok(self
            .read(repository, |inside| inside.tags.get(tag).cloned())
            .flatten())
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError> {
        let mut repositories = self.lock();
        let Some(inside) = repositories.get_mut(repository) else {
            return Ok(TagChange::Refused(None));
        };
        let current = inside.tags.get(tag).cloned();
        if current.is_none() || !expect.holds(current.as_ref()) {
            return Ok(TagChange::Refused(current));
        }
        inside.tags.remove(tag);
        Ok(TagChange::Applied)
    }

    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        Ok(self.lock().contains_key(repository))
    }

    async fn repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        // The names are copied out first: `visible` may be a function that takes its time.
        let names: Vec<RepositoryName> = {
            let repositories = self.lock();
            behind(&repositories, page.after.as_deref(), |after| {
                after.parse().ok()
            })
            .filter(|(_, inside)| !inside.manifests.is_empty())
            .map(|(name, _)| name.clone())
            .collect()
        };
        Ok(paged(names.iter(), &page, |name| visible.contains(name)))
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>, StoreError> {
        let tags = |inside: &Repository| {
            let after = page.after.as_deref();
            let entries = behind(&inside.tags, after, |after| after.parse().ok());
            paged(entries.map(|(tag, _)| tag), &page, |_| true)
        };
        Ok(self.read(repository, tags).unwrap_or_else(Listing::empty))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        let listing = |inside: &Repository| {
            let Some(referrers) = inside.referrers.get(subject) else {
                return Listing::empty();
            };
            let after = page.after.as_deref();
            let entries = behind(referrers, after, |after| after.parse().ok());
            paged(entries.map(|(_, descriptor)| descriptor), &page, |d| {
                filter.allows(d)
            })
        };
        let listing = self
            .read(repository, listing)
            .unwrap_or_else(Listing::empty);
        Ok(filter.bounded(listing))
    }

    fn live_digests(&self) -> BoxStream<'_, Result<Digest, StoreError>> {
        let digests: Vec<_> = self
            .lock()
            .values()
            .flat_map(|inside| {
                let blobs = inside.blobs.values().map(|link| link.target.clone());
                blobs.chain(inside.manifests.keys().cloned()).map(Ok)
            })
            .collect();
        stream::iter(digests).boxed()
    }
}
