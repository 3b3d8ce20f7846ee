//! Seam 2b: small mutable records.

use std::{fmt, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use super::StoreError;
use crate::{
    access::Visible,
    descriptor::Descriptor,
    digest::Digest,
    media_type::TypeName,
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Tag},
};

/// Stores what repositories hold: blob links, manifests with their bytes, tags, referrers.
///
/// # Contract
///
/// - Listings are in byte order of the whole name and start strictly after
///   [`Page::after`]. Following the pages neither skips nor repeats what was there all along.
/// - Each tag changes at one point in time, and last: whoever sees a tag can read its manifest. A tag
///   whose manifest is gone reads as absent, and is not listed.
/// - A repository exists once anything was linked in it. Its catalog lists those with a manifest.
/// - A write that was answered is seen by every instance on the same data.
/// - What cannot be read as an entry (foreign files, records that are damaged) is skipped in
///   listings, never a failure of the whole.
#[async_trait]
pub trait MetadataStore: fmt::Debug + Send + Sync + 'static {
    /// Which promises about concurrent writers the store keeps. The engine never promises more.
    fn capabilities(&self) -> Capabilities;

    /// Whether records can be read, as [`BlobStore::check`](super::BlobStore::check).
    ///
    /// # Errors
    ///
    /// When the store does not answer, or is not there any more.
    async fn check(&self) -> Result<(), StoreError>;

    /// Links a blob into a repository. Idempotent; a later link replaces an earlier one.
    ///
    /// # Errors
    ///
    /// When the link may not be there.
    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<(), StoreError>;

    /// The link of a blob in this repository.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn blob_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobLink>, StoreError>;

    /// Removes a blob's link; `false` when there was none. The repository goes on existing.
    ///
    /// # Errors
    ///
    /// When the link may still be there.
    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError>;

    /// Stores a manifest and sets tags to it, each only if what it [`Expect`]s holds: the manifest
    /// first, then the tags in their order. The answer has one entry for each tag.
    ///
    /// With [`Capabilities::atomic_tags`] all tags are checked before any is set, under exclusion of
    /// every other writer of this repository's tags: either all are set, or none. Without, each is
    /// checked and set by itself. A manifest whose tags were all refused is stored all the same.
    ///
    /// A tag that was set points to a manifest that is there when this returns, whatever deletes
    /// ran meanwhile.
    ///
    /// Dropping the future leaves the manifest, and of the tags any of the first ones set.
    ///
    /// # Errors
    ///
    /// When not everything may be durable.
    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError>;

    /// A manifest, by the digest it was stored under.
    ///
    /// # Errors
    ///
    /// When the store cannot tell; [`Corrupt`](super::StoreErrorKind::Corrupt) when its bytes are
    /// not those of its digest.
    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError>;

    /// Deletes a manifest: first every tag that points to it, each only while it still does, then
    /// the manifest and its place among the referrers. `false` when there was none. A push of the
    /// same manifest at the same time ends with the manifest and its tag both there or both gone.
    ///
    /// # Errors
    ///
    /// When it, or a tag of it, may still be there. Calling again finishes the work.
    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError>;

    /// What a tag points to.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError>;

    /// Deletes a tag if what it expects holds. The manifest stays. Where there is no such tag the
    /// answer is `Refused(None)`, whatever was expected.
    ///
    /// # Errors
    ///
    /// When it may still be there.
    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError>;

    /// Whether anything was ever linked in the repository.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool, StoreError>;

    /// The repositories that have a manifest and are visible.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError>;

    /// The tags of a repository; none when there is no such repository.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn tags(
        &self,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>, StoreError>;

    /// The manifests of this repository whose subject is `subject`, whoever stored them and whether
    /// or not the subject exists, in byte order of their digests. Their descriptors have the
    /// artifact type and the annotations of the manifest. A page ends early rather than have more
    /// than [`ReferrersFilter::max_bytes`] of descriptors, but has at least one.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError>;

    /// Every digest that any repository links as blob or holds as manifest, in no order, maybe more
    /// than once: bytes under another digest are garbage.
    fn live_digests(&self) -> BoxStream<'_, Result<Digest, StoreError>>;
}

/// Which promises about concurrent writers a [`MetadataStore`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The expectations of all tags of a push are checked, and all of them set, under one exclusion
    /// of every other writer, in other processes too. Of two racing writers that both expect a tag
    /// to be absent exactly one wins.
    pub atomic_tags: bool,
}

impl Capabilities {
    /// No promise.
    pub fn none() -> Self {
        Self::default()
    }

    /// With [`atomic_tags`](Self::atomic_tags).
    #[must_use]
    pub fn with_atomic_tags(self) -> Self {
        Self { atomic_tags: true }
    }
}

/// A blob's link in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobLink {
    /// The digest that the bytes are stored under. It differs from the link's own digest where
    /// Distribution linked a sha512 name to a sha256 blob.
    pub target: Digest,
    /// How many bytes it has, if the link says so (Distribution's do not).
    pub size: Option<u64>,
}

impl BlobLink {
    /// A link to bytes stored under `target`.
    pub fn new(target: Digest, size: Option<u64>) -> Self {
        Self { target, size }
    }
}

/// A manifest to be stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManifestRecord {
    /// Its media type, digest and size; and the artifact type and annotations under which it is
    /// listed as a referrer.
    pub descriptor: Descriptor,
    /// Its bytes, verbatim.
    pub bytes: Bytes,
    /// What it refers to as its subject.
    pub subject: Option<Digest>,
    /// The digests of everything else it refers to.
    pub references: Vec<Digest>,
    /// Who pushed it.
    pub by: Option<String>,
    /// When.
    pub at: SystemTime,
}

impl ManifestRecord {
    /// A manifest without subject and references.
    pub fn new(descriptor: Descriptor, bytes: Bytes, at: SystemTime) -> Self {
        Self {
            descriptor,
            bytes,
            subject: None,
            references: Vec::new(),
            by: None,
            at,
        }
    }
}

/// A manifest that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredManifest {
    /// Its media type, digest (in the form it was asked for) and size.
    pub descriptor: Descriptor,
    /// Its bytes, verbatim.
    pub bytes: Bytes,
}

impl StoredManifest {
    /// A stored manifest.
    pub fn new(descriptor: Descriptor, bytes: Bytes) -> Self {
        Self { descriptor, bytes }
    }
}

/// What became of a conditional change of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a condition holds or it does not")]
pub enum TagChange {
    /// It was made.
    Applied,
    /// It was not made: the tag, or another of the same push, is not as expected. What this one
    /// points to.
    Refused(Option<Digest>),
}

/// Which referrers are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferrersFilter {
    /// Only those of this artifact type.
    pub artifact_type: Option<TypeName>,
    /// End the page before its descriptors, serialized, have more bytes than this. `None` is no
    /// bound.
    pub max_bytes: Option<usize>,
}

impl ReferrersFilter {
    /// All of them.
    pub fn none() -> Self {
        Self::default()
    }

    /// Only those of this artifact type.
    #[must_use]
    pub fn artifact_type(self, artifact_type: impl Into<TypeName>) -> Self {
        Self {
            artifact_type: Some(artifact_type.into()),
            ..self
        }
    }

    /// Pages of at most that many bytes.
    #[must_use]
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self {
            max_bytes: Some(max_bytes),
            ..self
        }
    }

    /// Cuts a page off where its descriptors pass [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn bounded(&self, mut listing: Listing<Descriptor>) -> Listing<Descriptor> {
        let Some(mut room) = self.max_bytes else {
            return listing;
        };
        let mut fits = |descriptor: &Descriptor| {
            let size = serde_json::to_vec(descriptor).map_or(0, |json| json.len() + 1);
            room.checked_sub(size)
                .inspect(|left| room = *left)
                .is_some()
        };
        let fitting = listing
            .items
            .iter()
            .map(&mut fits)
            .take_while(|fits| *fits)
            .count();
        let kept = fitting.max(1).min(listing.items.len());
        listing.more |= kept < listing.items.len();
        listing.items.truncate(kept);
        listing
    }

    /// Whether a referrer passes.
    pub fn allows(&self, referrer: &Descriptor) -> bool {
        self.artifact_type.is_none() || self.artifact_type == referrer.artifact_type
    }
}
