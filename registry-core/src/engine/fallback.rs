//! Referrers that only a fallback tag tells of.
//!
//! Clients of registries without the referrers API keep an index of a subject's referrers under a
//! tag made of its digest (distribution-spec, "Referrers Tag Schema"). A registry that takes up the
//! API must list those too. The index is a hint and no more: each entry counts only if the manifest
//! is in the repository and itself says that it is about the subject, and its descriptor is made
//! from the manifest.

use std::collections::BTreeSet;

use super::Inner;
use crate::{
    descriptor::Descriptor,
    digest::Digest,
    error::Result,
    manifest::Document,
    name::RepositoryName,
    page::{Listing, Page},
    reference::Tag,
    store::{ReferrersFilter, StoreErrorKind, StoredManifest},
};

impl Inner {
    /// A page of stored referrers, with those merged in that only the fallback tag tells of.
    pub(super) async fn with_fallback(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: &Page,
        filter: &ReferrersFilter,
        stored: Listing<Descriptor>,
    ) -> Result<Listing<Descriptor>> {
        let named = self.fallback(repository, subject).await?;
        let mut named = pending(named, page, &stored).into_iter().peekable();
        if named.peek().is_none() {
            return Ok(stored);
        }

        let mut merged = Merged::new(page.limit, filter.max_bytes);
        for referrer in stored.items {
            while let Some(digest) = named.next_if(|digest| *digest < referrer.digest) {
                let found = self.verified(repository, subject, filter, digest).await?;
                if found.is_some_and(|found| !merged.push(found)) {
                    return Ok(merged.more());
                }
            }
            if !merged.push(referrer) {
                return Ok(merged.more());
            }
        }
        for digest in named {
            let found = self.verified(repository, subject, filter, digest).await?;
            if found.is_some_and(|found| !merged.push(found)) {
                return Ok(merged.more());
            }
        }
        Ok(Listing::new(merged.items, stored.more))
    }

    /// What the fallback tag of `subject` names, in order: nothing where there is no such index.
    async fn fallback(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<BTreeSet<Digest>> {
        let tag = Tag::referrers_fallback(subject);
        let Some(digest) = self.metadata.tag(repository, &tag).await? else {
            return Ok(BTreeSet::new());
        };
        let index = self.readable(repository, &digest).await?;
        let manifests = index.map(|(_, document)| document.manifests);
        let manifests = manifests.into_iter().flatten();
        Ok(manifests.map(|child| child.digest).collect())
    }

    /// The descriptor of a manifest that is there, is about `subject`, and passes.
    async fn verified(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        filter: &ReferrersFilter,
        digest: Digest,
    ) -> Result<Option<Descriptor>> {
        let Some((manifest, document)) = self.readable(repository, &digest).await? else {
            return Ok(None);
        };
        let about = document.subject.as_ref().map(|child| &child.digest);
        if about != Some(subject) {
            return Ok(None);
        }
        let descriptor = document.descriptor(digest, manifest.bytes.len() as u64);
        Ok(Some(descriptor).filter(|referrer| filter.allows(referrer)))
    }

    /// A manifest that is there and can be read. One that is damaged is skipped, as in any listing.
    async fn readable(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(StoredManifest, Document)>> {
        let manifest = match self.metadata.manifest(repository, digest).await {
            Ok(manifest) => manifest,
            Err(error) if error.kind() == StoreErrorKind::Corrupt => None,
            Err(error) => return Err(error.into()),
        };
        Ok(manifest.and_then(|manifest| {
            let media_type = Some(&manifest.descriptor.media_type);
            let document = Document::parse(&manifest.bytes, media_type, &self.limits.manifest);
            Some((manifest, document.ok()?))
        }))
    }
}

/// What of `named` belongs on this page, and is not on it. Behind the last of a page with more to
/// come nothing does: it is a later page's.
fn pending(named: BTreeSet<Digest>, page: &Page, stored: &Listing<Descriptor>) -> Vec<Digest> {
    let last = stored.items.last().filter(|_| stored.more);
    named
        .into_iter()
        .filter(|digest| {
            page.after
                .as_deref()
                .is_none_or(|after| digest.as_str() > after)
        })
        .filter(|digest| last.is_none_or(|last| *digest < last.digest))
        .filter(|digest| {
            let place = stored
                .items
                .binary_search_by(|item| item.digest.cmp(digest));
            place.is_err()
        })
        .collect()
}

/// A page that fills.
struct Merged {
    items: Vec<Descriptor>,
    limit: usize,
    bytes_left: Option<usize>,
}

impl Merged {
    fn new(limit: usize, max_bytes: Option<usize>) -> Self {
        Self {
            items: Vec::new(),
            limit,
            bytes_left: max_bytes,
        }
    }

    /// Adds an entry; `false` when there is no room for it. The first always has room.
    fn push(&mut self, referrer: Descriptor) -> bool {
        if self.items.len() >= self.limit {
            return false;
        }
        if let Some(left) = self.bytes_left {
            let bytes = serde_json::to_vec(&referrer).map_or(usize::MAX, |json| json.len());
            if bytes > left && !self.items.is_empty() {
                return false;
            }
            self.bytes_left = Some(left.saturating_sub(bytes));
        }
        self.items.push(referrer);
        true
    }

    fn more(self) -> Listing<Descriptor> {
        Listing::new(self.items, true)
    }
}
