//! What the metadata half does on disk, each thing in one go: to be run where one may wait.

use std::{io, sync::Arc};

use registry_core::{
    Clock, Descriptor, Digest, Expect, Listing, Page, RepositoryName, Tag,
    access::Visible,
    store::{ManifestRecord, ReferrersFilter, StoreError, StoredManifest, TagChange},
};

use super::{
    catalog::Catalog,
    failed,
    links::Links,
    manifests::Manifests,
    publish::{Publisher, Unsynced},
    referrers::Referrers,
    tags::Tags,
    walk,
};
use crate::layout::{self, Layout};

/// The records of all repositories: links, manifests, tags, and what is remembered of them.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) layout: Arc<Layout>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) links: Links,
    pub(super) manifests: Manifests,
    pub(super) tags: Tags,
    pub(super) catalog: Catalog,
    pub(super) referrers: Referrers,
}

impl Records {
    pub(super) fn new(
        layout: Arc<Layout>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            links: Links::new(Arc::clone(&publisher), Arc::clone(&clock)),
            manifests: Manifests::new(Arc::clone(&layout)),
            tags: Tags::new(
                Arc::clone(&layout),
                Arc::clone(&publisher),
                Arc::clone(&clock),
            ),
            catalog: Catalog::new(Arc::clone(&layout), Arc::clone(&clock)),
            referrers: Referrers::new(Arc::clone(&layout), clock),
            layout,
            publisher,
        }
    }

    pub(super) fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        match self.links.read(&self.layout.revision(repository, digest))? {
            Some(target) => self.manifests.read(digest, &target),
            None => Ok(None),
        }
    }

    /// A tag whose manifest is gone reads as absent.
    pub(super) fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        let current = self.links.read(&self.layout.tag_current(repository, tag))?;
        let Some(digest) = current else {
            return Ok(None);
        };
        let revision = self
            .links
            .read(&self.layout.revision(repository, &digest))?;
        Ok(revision.map(|_| digest))
    }

    pub(super) fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: &ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError> {
        let digest = &record.descriptor.digest;
        let text = digest.as_str().as_bytes();
        // What takes its time is done before anybody is kept waiting: the bytes are made durable, and
        // the links written, all but their names.
        self.put_bytes(record)?;
        let revision = self.layout.revision(repository, digest);
        let stage = |_: &(Tag, Expect)| self.publisher.stage(text);
        let currents = tags.iter().map(stage).collect::<Result<Vec<_>, _>>()?;

        let mut unsynced = Unsynced::default();
        let file = self.tags.lock_file(repository)?;
        let changes = {
            let _lock = Tags::lock(&file)?;
            let mut changes = Vec::with_capacity(tags.len());
            let mut all = true;
            for (tag, expect) in tags {
                let current = self.tag(repository, tag)?;
                all &= expect.holds(current.as_ref());
                changes.push(TagChange::Refused(current));
            }
            self.links.write(&revision, digest, &mut unsynced)?;
            self.keep_for_distribution(repository)?;
            if all {
                for ((tag, _), staged) in tags.iter().zip(currents) {
                    let index = self.layout.tag_index(repository, tag, digest);
                    self.links.write(&index, digest, &mut unsynced)?;
                    let current = self.layout.tag_current(repository, tag);
                    self.publisher.publish(staged, &current, &mut unsynced)?;
                }
                changes = vec![TagChange::Applied; tags.len()];
            }
            changes
        };
        self.publisher.sync(&unsynced)?;
        self.catalog.add(repository)?;
        let Descriptor {
            media_type,
            digest,
            size,
            ..
        } = record.descriptor.clone();
        let stored = Descriptor::new(media_type, digest.clone(), size);
        self.manifests
            .remember(&digest, StoredManifest::new(stored, record.bytes.clone()));
        Ok(changes)
    }

    /// Makes the directory by which Distribution's walks know a repository, where no blob was linked
    /// yet: its collector deletes what is tagged in one that it does not see, or stops there.
    fn keep_for_distribution(&self, repository: &RepositoryName) -> Result<(), StoreError> {
        let layers = self.layout.layers(repository);
        match self.publisher.disk.make_directory(&layers) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Somebody removed what is above it meanwhile, and the manifest with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            made => made.map_err(failed("a directory cannot be made")),
        }
    }

    fn put_bytes(&self, record: &ManifestRecord) -> Result<(), StoreError> {
        let name = self.layout.blob(&record.descriptor.digest);
        let mut unsynced = Unsynced::default();
        if !self
            .publisher
            .is_published(&name, &record.bytes, &mut unsynced)?
        {
            let staged = self.publisher.stage(&record.bytes)?;
            self.publisher.publish(staged, &name, &mut unsynced)?;
        }
        self.publisher.sync(&unsynced)
    }

    pub(super) fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let revision = self.layout.revision(repository, digest);
        if !self.layout.manifests(repository).is_dir() {
            return Ok(false);
        }
        let file = self.tags.lock_file(repository)?;
        let _lock = Tags::lock(&file)?;
        let mut unsynced = Unsynced::default();
        for tag in &*self.tags.names(repository)? {
            let current = self.links.read(&self.layout.tag_current(repository, tag))?;
            if current.as_ref() == Some(digest) {
                self.tags.remove(repository, tag, &mut unsynced)?;
            }
        }
        // Before the manifest goes: no tag may come back to a manifest that is not there.
        self.publisher.sync(&unsynced)?;
        self.links.remove(&revision)
    }

    pub(super) fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError> {
        if !self.layout.tag(repository, tag).is_dir() {
            return Ok(TagChange::Refused(None));
        }
        let file = self.tags.lock_file(repository)?;
        let mut unsynced = Unsynced::default();
        {
            let _lock = Tags::lock(&file)?;
            let current = self.tag(repository, tag)?;
            if current.is_none() || !expect.holds(current.as_ref()) {
                return Ok(TagChange::Refused(current));
            }
            self.tags.remove(repository, tag, &mut unsynced)?;
        }
        self.publisher.sync(&unsynced)?;
        Ok(TagChange::Applied)
    }

    pub(super) fn repositories(
        &self,
        page: &Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        if page.limit == 0 {
            return Ok(Listing::empty());
        }
        let mut items = Vec::new();
        let mut after = page.after.clone();
        loop {
            let step = page
                .limit
                .saturating_sub(items.len())
                .saturating_add(1)
                .min(1024);
            let names = self.catalog.names(after.as_deref(), step)?;
            let last = names.last().map(ToString::to_string);
            for name in names {
                if visible.contains(&name) && self.has_manifest(&name)? {
                    if items.len() == page.limit {
                        return Ok(Listing::new(items, true));
                    }
                    items.push(name);
                }
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(Listing::new(items, false)),
            }
        }
    }

    fn has_manifest(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        for digest in walk::digests(&self.layout.revisions(repository)) {
            if self
                .links
                .read(&self.layout.revision(repository, &digest))?
                .is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page,
    ) -> Result<Listing<Tag>, StoreError> {
        if page.limit == 0 {
            return Ok(Listing::empty());
        }
        let names = self.tags.names(repository)?;
        let after = page.after.as_deref();
        let begin = names.partition_point(|tag| after.is_some_and(|after| tag.as_str() <= after));
        let mut items = Vec::new();
        for tag in names.iter().skip(begin) {
            // One that cannot be read is left out of the list, as other damaged entries are.
            let there = self.tag(repository, tag).unwrap_or_else(|error| {
                tracing::warn!(%repository, %tag, %error, "a tag is skipped");
                None
            });
            if there.is_some() {
                if items.len() == page.limit {
                    return Ok(Listing::new(items, true));
                }
                items.push(tag.clone());
            }
        }
        Ok(Listing::new(items, false))
    }

    pub(super) fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: &Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        if page.limit == 0 {
            return Ok(Listing::empty());
        }
        let after = page.after.as_deref();
        let found = self
            .referrers
            .of(repository, subject, after, &self.links, &self.manifests)?;
        let mut items = Vec::new();
        let mut more = false;
        for descriptor in found
            .into_iter()
            .filter(|descriptor| filter.allows(descriptor))
        {
            let revision = self.layout.revision(repository, &descriptor.digest);
            if self.links.read(&revision)?.is_some() {
                if items.len() == page.limit {
                    more = true;
                    break;
                }
                items.push(descriptor);
            }
        }
        Ok(filter.bounded(Listing::new(items, more)))
    }

    pub(super) fn live(&self) -> Result<Vec<Digest>, StoreError> {
        let mut found = Vec::new();
        for repository in walk::repositories(&self.layout, &[layout::LAYERS, layout::MANIFESTS])? {
            for digest in walk::digests(&self.layout.layers(&repository)) {
                found.extend(self.links.read(&self.layout.layer(&repository, &digest))?);
            }
            for digest in walk::digests(&self.layout.revisions(&repository)) {
                found.extend(
                    self.links
                        .read(&self.layout.revision(&repository, &digest))?,
                );
            }
        }
        Ok(found)
    }
}
