//! Stores that break one promise each, over the memory store: the suite has to see every one.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use registry_core::{
    Algorithm, Blob, ByteStream, Descriptor, Digest, Expect, Hasher, Listing, Location, Page,
    RepositoryName, Tag,
    access::Visible,
    store::{
        BlobLink, BlobStore, BodyEnd, Capabilities, ManifestRecord, MetadataStore, OpenUpload,
        ReferrersFilter, StoreError, StoredBlob, StoredManifest, TagChange, UploadKey, UploadState,
        Written,
        conformance::{self, Instances, Stores, Subject},
    },
};
use registry_storage::memory::MemoryStorage;

/// The promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    AbortEnds,
    AfterIsExcluded,
    BlobsAreDeleted,
    BlobsAreHiddenUntilCommit,
    BlobsAreWhole,
    CatalogIsFiltered,
    ChecksPass,
    CutBytesAreKept,
    ExpectationsCount,
    ListsAreInOrder,
    NewestStateIsCommitted,
    PagesHaveLimits,
    PagesSayMore,
    ReferrersAreFiltered,
    RepositoriesStay,
    StateIsCheckedBeforeTheBody,
    SupersededWritersStop,
    TagDeletesExpect,
    TagsGoWithTheManifest,
}

/// The rules that have to fail for each.
const EXPECTED: &[(Promise, &[&str])] = &[
    (
        Promise::AbortEnds,
        &["abort_is_idempotent", "an_abort_supersedes"],
    ),
    (
        Promise::AfterIsExcluded,
        &[
            "tags_are_listed_in_byte_order",
            "pages_neither_skip_nor_repeat",
        ],
    ),
    (
        Promise::BlobsAreDeleted,
        &["delete_says_whether_there_was_one"],
    ),
    (
        Promise::BlobsAreHiddenUntilCommit,
        &["a_blob_is_never_visible_before_its_commit"],
    ),
    (
        Promise::BlobsAreWhole,
        &["a_committed_blob_is_seen_by_every_instance"],
    ),
    (
        Promise::CatalogIsFiltered,
        &["the_catalog_shows_the_visible"],
    ),
    (Promise::ChecksPass, &["a_store_that_works_says_so"]),
    (Promise::CutBytesAreKept, &["a_cut_body_keeps_its_bytes"]),
    (
        Promise::ExpectationsCount,
        &["a_condition_decides", "of_two_that_expect_absence_one_wins"],
    ),
    (Promise::ListsAreInOrder, &["tags_are_listed_in_byte_order"]),
    (
        Promise::NewestStateIsCommitted,
        &["a_stale_state_cannot_be_committed"],
    ),
    (
        Promise::PagesHaveLimits,
        &["pages_of_tags_have_their_limit"],
    ),
    (Promise::PagesSayMore, &["pages_of_tags_have_their_limit"]),
    (
        Promise::ReferrersAreFiltered,
        &["a_filter_leaves_out_other_types"],
    ),
    (
        Promise::RepositoriesStay,
        &["a_repository_exists_once_something_was_linked"],
    ),
    (
        Promise::StateIsCheckedBeforeTheBody,
        &["a_stale_state_cannot_write"],
    ),
    (
        Promise::SupersededWritersStop,
        &["a_stale_state_cannot_write", "a_superseded_writer_stops"],
    ),
    (Promise::TagDeletesExpect, &["a_tag_delete_has_conditions"]),
    (Promise::TagsGoWithTheManifest, &["delete_takes_every_tag"]),
];

/// What a broken store remembers in order to be wrong.
#[derive(Debug, Default)]
struct Memories {
    /// The sizes of blobs that are not committed.
    early: HashMap<Digest, u64>,
    /// The tags of manifests that were deleted.
    ghosts: HashMap<(RepositoryName, Tag), Digest>,
    /// The repositories that something was unlinked from.
    unlinked: HashSet<RepositoryName>,
}

#[derive(Debug)]
struct Broken {
    promise: Promise,
    blobs: Arc<dyn BlobStore>,
    metadata: Arc<dyn MetadataStore>,
    memories: Mutex<Memories>,
}

impl Broken {
    fn breaks(&self, promise: Promise) -> bool {
        self.promise == promise
    }

    fn memories(&self) -> MutexGuard<'_, Memories> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn newest(&self, key: &UploadKey, state: UploadState) -> Result<UploadState, StoreError> {
        Ok(self.blobs.upload(key, None).await?.unwrap_or(state))
    }
}

/// All pieces of a body, and how it ended.
async fn collected(mut body: ByteStream) -> (Vec<Bytes>, BodyEnd) {
    let mut pieces = Vec::new();
    loop {
        match body.next().await {
            Some(Ok(piece)) => pieces.push(piece),
            Some(Err(error)) => return (pieces, BodyEnd::Cut(error)),
            None => return (pieces, BodyEnd::Complete),
        }
    }
}

fn again(pieces: Vec<Bytes>) -> ByteStream {
    ByteStream::new(stream::iter(pieces).map(Ok))
}

#[async_trait]
impl BlobStore for Broken {
    async fn check(&self) -> Result<(), StoreError> {
        self.blobs.check().await
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let size = self.blobs.stat(digest).await?;
        if self.breaks(Promise::BlobsAreHiddenUntilCommit) {
            return Ok(size.or_else(|| self.memories().early.get(digest).copied()));
        }
        Ok(size)
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let mut blob = self.blobs.open(digest).await?;
        if let Some(blob) = &mut blob
            && self.breaks(Promise::BlobsAreWhole)
        {
            blob.size /= 2;
        }
        Ok(blob)
    }

    async fn location(
        &self,
        digest: &Digest,
        lifetime: Duration,
    ) -> Result<Option<Location>, StoreError> {
        self.blobs.location(digest, lifetime).await
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        if self.breaks(Promise::BlobsAreDeleted) {
            return Ok(self.blobs.stat(digest).await?.is_some());
        }
        self.blobs.delete(digest).await
    }

    fn list(&self) -> BoxStream<'_, Result<StoredBlob, StoreError>> {
        self.blobs.list()
    }

    async fn begin_upload(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError> {
        self.blobs.begin_upload(key, algorithm).await
    }

    async fn upload(
        &self,
        key: &UploadKey,
        hint: Option<UploadState>,
    ) -> Result<Option<UploadState>, StoreError> {
        self.blobs.upload(key, hint).await
    }

    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        body: ByteStream,
    ) -> Result<Written, StoreError> {
        match self.promise {
            Promise::CutBytesAreKept => {
                let begun = self
                    .blobs
                    .write_upload(key, from, ByteStream::empty())
                    .await?;
                match collected(body).await {
                    (_, end @ BodyEnd::Cut(_)) => Ok(Written::new(begun.state, end)),
                    (pieces, BodyEnd::Complete) => {
                        self.blobs
                            .write_upload(key, begun.state, again(pieces))
                            .await
                    }
                }
            }
            Promise::StateIsCheckedBeforeTheBody | Promise::SupersededWritersStop => {
                let (pieces, end) = collected(body).await;
                let from = match self.promise {
                    Promise::SupersededWritersStop => self.newest(key, from).await?,
                    _ => from,
                };
                let written = self.blobs.write_upload(key, from, again(pieces)).await?;
                Ok(Written::new(written.state, end))
            }
            _ => {
                let written = self.blobs.write_upload(key, from, body).await?;
                if let Some(hasher) = Hasher::restore(&written.state.hash) {
                    let digest = hasher.finish();
                    self.memories().early.insert(digest, written.state.length);
                }
                Ok(written)
            }
        }
    }

    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError> {
        self.blobs.digest_upload(key, state, algorithm).await
    }

    async fn commit_upload(
        &self,
        key: &UploadKey,
        mut state: UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        if self.breaks(Promise::NewestStateIsCommitted) {
            state = self.newest(key, state).await?;
        }
        self.blobs.commit_upload(key, state, digest).await
    }

    async fn abort_upload(
        &self,
        key: &UploadKey,
        hint: Option<UploadState>,
    ) -> Result<(), StoreError> {
        if self.breaks(Promise::AbortEnds) {
            return Ok(());
        }
        self.blobs.abort_upload(key, hint).await
    }

    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload, StoreError>> {
        self.blobs.list_uploads()
    }
}

#[async_trait]
impl MetadataStore for Broken {
    fn capabilities(&self) -> Capabilities {
        self.metadata.capabilities()
    }

    async fn check(&self) -> Result<(), StoreError> {
        if self.breaks(Promise::ChecksPass) {
            return Err(StoreError::unavailable("it says"));
        }
        self.metadata.check().await
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<(), StoreError> {
        self.metadata.link_blob(repository, digest, link).await
    }

    async fn blob_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobLink>, StoreError> {
        self.metadata.blob_link(repository, digest).await
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        self.memories().unlinked.insert(repository.clone());
        self.metadata.unlink_blob(repository, digest).await
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError> {
        let mut tags = tags.to_vec();
        if self.breaks(Promise::ExpectationsCount) {
            tags.iter_mut()
                .for_each(|(_, expect)| *expect = Expect::Any);
        }
        self.metadata.put_manifest(repository, record, &tags).await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        self.metadata.manifest(repository, digest).await
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        if self.breaks(Promise::TagsGoWithTheManifest) {
            let tags = self.metadata.tags(repository, Page::first(100)).await?;
            for tag in tags.items {
                if self.metadata.tag(repository, &tag).await?.as_ref() == Some(digest) {
                    let key = (repository.clone(), tag);
                    self.memories().ghosts.insert(key, digest.clone());
                }
            }
        }
        self.metadata.delete_manifest(repository, digest).await
    }

    async fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        let found = self.metadata.tag(repository, tag).await?;
        let key = (repository.clone(), tag.clone());
        Ok(found.or_else(|| self.memories().ghosts.get(&key).cloned()))
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError> {
        let expect = match self.promise {
            Promise::TagDeletesExpect => &Expect::Any,
            _ => expect,
        };
        self.metadata.delete_tag(repository, tag, expect).await
    }

    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        if self.breaks(Promise::RepositoriesStay) && self.memories().unlinked.contains(repository) {
            return Ok(false);
        }
        self.metadata.repository_exists(repository).await
    }

    async fn repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        let visible = match self.promise {
            Promise::CatalogIsFiltered => &Visible::All,
            _ => visible,
        };
        self.metadata.repositories(page, visible).await
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        mut page: Page,
    ) -> Result<Listing<Tag>, StoreError> {
        let after = page.after.as_ref().and_then(|after| Tag::parse(after).ok());
        if self.breaks(Promise::PagesHaveLimits) {
            page.limit = page.limit.saturating_add(1);
        }
        let mut listing = self.metadata.tags(repository, page).await?;
        match self.promise {
            Promise::ListsAreInOrder => listing.items.reverse(),
            Promise::PagesSayMore => listing.more = false,
            Promise::AfterIsExcluded => {
                if let Some(after) = after
                    && self.metadata.tag(repository, &after).await?.is_some()
                {
                    listing.items.insert(0, after);
                }
            }
            _ => {}
        }
        Ok(listing)
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        let mut filter = filter.clone();
        if self.breaks(Promise::ReferrersAreFiltered) {
            filter.artifact_type = None;
        }
        self.metadata
            .referrers(repository, subject, page, &filter)
            .await
    }

    fn live_digests(&self) -> BoxStream<'_, Result<Digest, StoreError>> {
        self.metadata.live_digests()
    }
}

#[async_trait]
impl Subject for Promise {
    async fn fresh(&self) -> (Stores, Stores) {
        let storage = MemoryStorage::new();
        let store = Arc::new(Broken {
            promise: *self,
            blobs: storage.blobs(),
            metadata: storage.metadata(),
            memories: Mutex::default(),
        });
        let stores = Stores::new(Arc::<Broken>::clone(&store), store);
        (stores.clone(), stores)
    }
}

#[tokio::test]
async fn every_broken_promise_is_seen() {
    let mut unseen = Vec::new();
    for (promise, names) in EXPECTED {
        for name in *names {
            let rule = conformance::rules().find(|rule| rule.name == *name);
            let rule = rule.expect("the rule is in the suite");
            if rule.check(promise, Instances::One).await.is_ok() {
                unseen.push(format!("{promise:?} does not break {name}"));
            }
        }
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}
