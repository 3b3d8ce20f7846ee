//! One repository: its links, manifests, tags and referrers, always in agreement with each other.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use registry_core::{
    Descriptor, Digest, Expect, Listing, Page, Tag,
    store::{
        BlobLink, ManifestRecord, ReferrersFilter, StoreError, StoreErrorKind, StoredManifest,
        TagChange,
    },
};

use super::name::{ByName, behind};

/// A repository. It is there once anything was linked in it.
#[derive(Debug, Default)]
pub(super) struct Repository {
    /// The blobs that are linked.
    pub(super) links: BTreeMap<Digest, BlobLink>,
    manifests: BTreeMap<Digest, Manifest>,
    tags: BTreeMap<ByName<Tag>, Digest>,
    /// For each subject the manifests that refer to it.
    referrers: BTreeMap<Digest, BTreeMap<ByName<Digest>, ()>>,
}

#[derive(Debug)]
struct Manifest {
    descriptor: Descriptor,
    bytes: Bytes,
    subject: Option<Digest>,
    /// The tags that point to it.
    tags: BTreeSet<Tag>,
}

impl Repository {
    /// Whether it has a manifest.
    pub(super) fn has_manifests(&self) -> bool {
        !self.manifests.is_empty()
    }

    /// Every digest that is linked or held.
    pub(super) fn digests(&self) -> impl Iterator<Item = &Digest> {
        let targets = (self.links.iter()).flat_map(|(digest, link)| [digest, &link.target]);
        targets.chain(self.manifests.keys())
    }

    /// Stores a manifest, then all of the tags or none.
    pub(super) fn put(&mut self, record: ManifestRecord, tags: &[(Tag, Expect)]) -> Vec<TagChange> {
        let digest = record.descriptor.digest.clone();
        let before = self.forget(&digest);
        if let Some(subject) = &record.subject {
            let referrers = self.referrers.entry(subject.clone()).or_default();
            referrers.insert(ByName(digest.clone()), ());
        }
        let manifest = Manifest {
            descriptor: record.descriptor,
            bytes: record.bytes,
            subject: record.subject,
            tags: before.map(|manifest| manifest.tags).unwrap_or_default(),
        };
        self.manifests.insert(digest.clone(), manifest);
        if !(tags.iter()).all(|(tag, expect)| expect.holds(self.tag(tag))) {
            let refused = |(tag, _): &(Tag, _)| TagChange::Refused(self.tag(tag).cloned());
            return tags.iter().map(refused).collect();
        }
        for (tag, _) in tags {
            self.untag(tag);
            self.tags.insert(ByName(tag.clone()), digest.clone());
            if let Some(manifest) = self.manifests.get_mut(&digest) {
                manifest.tags.insert(tag.clone());
            }
        }
        vec![TagChange::Applied; tags.len()]
    }

    /// A manifest.
    pub(super) fn manifest(&self, digest: &Digest) -> Option<StoredManifest> {
        let manifest = self.manifests.get(digest)?;
        let Descriptor {
            media_type, size, ..
        } = &manifest.descriptor;
        let descriptor = Descriptor::new(media_type.clone(), digest.clone(), *size);
        Some(StoredManifest::new(descriptor, manifest.bytes.clone()))
    }

    /// Deletes a manifest with its tags; `false` when there was none.
    pub(super) fn delete(&mut self, digest: &Digest) -> bool {
        let Some(manifest) = self.forget(digest) else {
            return false;
        };
        for tag in &manifest.tags {
            self.tags.remove(tag.as_str());
        }
        true
    }

    /// Takes a manifest out, and its place among the referrers, but not its tags.
    fn forget(&mut self, digest: &Digest) -> Option<Manifest> {
        let manifest = self.manifests.remove(digest)?;
        if let Some(subject) = &manifest.subject
            && let Some(referrers) = self.referrers.get_mut(subject)
        {
            referrers.remove(digest.as_str());
            if referrers.is_empty() {
                self.referrers.remove(subject);
            }
        }
        Some(manifest)
    }

    /// What a tag points to.
    pub(super) fn tag(&self, tag: &Tag) -> Option<&Digest> {
        self.tags.get(tag.as_str())
    }

    /// Deletes a tag, if what is expected holds.
    pub(super) fn delete_tag(&mut self, tag: &Tag, expect: &Expect) -> TagChange {
        match self.tag(tag) {
            Some(current) if expect.holds(Some(current)) => {
                self.untag(tag);
                TagChange::Applied
            }
            current => TagChange::Refused(current.cloned()),
        }
    }

    /// Takes a tag away from whatever it points to.
    fn untag(&mut self, tag: &Tag) {
        let digest = self.tags.remove(tag.as_str());
        if let Some(manifest) = digest.and_then(|digest| self.manifests.get_mut(&digest)) {
            manifest.tags.remove(tag);
        }
    }

    /// A page of its tags.
    pub(super) fn tags(&self, page: &Page) -> Listing<Tag> {
        let mut tags = behind(&self.tags, page.after.as_deref()).map(|(tag, _)| tag.clone());
        let items: Vec<_> = tags.by_ref().take(page.limit).collect();
        let more = page.limit > 0 && tags.next().is_some();
        Listing::new(items, more)
    }

    /// A page of the manifests that refer to `subject`.
    pub(super) fn referrers(
        &self,
        subject: &Digest,
        page: &Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        let Some(referrers) = (self.referrers.get(subject)).filter(|_| page.limit > 0) else {
            return Ok(Listing::empty());
        };
        let found = behind(referrers, page.after.as_deref())
            .filter_map(|(digest, ())| Some(&self.manifests.get(digest)?.descriptor))
            .filter(|descriptor| filter.allows(descriptor));
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        for descriptor in found {
            bytes += size(descriptor)?;
            let full = filter.max_bytes.is_some_and(|max| bytes > max) && !items.is_empty();
            if full || items.len() == page.limit {
                return Ok(Listing::new(items, true));
            }
            items.push(descriptor.clone());
        }
        Ok(Listing::new(items, false))
    }
}

/// How many bytes a descriptor has, serialized.
fn size(descriptor: &Descriptor) -> Result<usize, StoreError> {
    serde_json::to_vec(descriptor)
        .map(|json| json.len())
        .map_err(|error| {
            StoreError::new(StoreErrorKind::Other, "a descriptor cannot be written")
                .caused_by(error)
        })
}
