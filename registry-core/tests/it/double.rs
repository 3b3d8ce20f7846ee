//! A store for tests: both halves in one map, with every call on record.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use registry_core::{
    Algorithm, Blob, ByteStream, Descriptor, Digest, Expect, Hasher, Listing, Location, Page,
    RepositoryName, Tag,
    access::Visible,
    store::{
        BlobLink, BlobStore, BodyEnd, Capabilities, ManifestRecord, MetadataStore, OpenUpload,
        ReferrersFilter, StoreError, StoreErrorKind, StoredBlob, StoredManifest, TagChange,
        UploadKey, UploadState, Written,
    },
};

type Result<T> = std::result::Result<T, StoreError>;
type Hook = Box<dyn FnOnce(&mut State) + Send>;

#[derive(Default)]
pub(crate) struct Double {
    pub(crate) atomic: AtomicBool,
    pub(crate) hints: AtomicBool,
    pub(crate) redirects: AtomicBool,
    /// Where it is not 0, calls on tags and manifests are held up, each for another while.
    pub(crate) seed: AtomicU64,
    state: Mutex<State>,
    calls: Mutex<Vec<&'static str>>,
    hooks: Mutex<HashMap<&'static str, Hook>>,
    failures: Mutex<HashMap<&'static str, StoreErrorKind>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) blobs: BTreeMap<Digest, Bytes>,
    pub(crate) uploads: BTreeMap<UploadKey, Upload>,
    pub(crate) links: BTreeMap<(RepositoryName, Digest), BlobLink>,
    pub(crate) manifests: BTreeMap<(RepositoryName, Digest), ManifestRecord>,
    pub(crate) tags: BTreeMap<(RepositoryName, Tag), Digest>,
    pub(crate) known: BTreeSet<RepositoryName>,
    /// Manifests that the store forgets to list as referrers.
    pub(crate) unlisted: BTreeSet<Digest>,
}

#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) epoch: u8,
    pub(crate) algorithm: Algorithm,
    pub(crate) modified: SystemTime,
}

impl Double {
    pub(crate) fn new() -> Arc<Self> {
        let double = Self::default();
        double.atomic.store(true, Ordering::Relaxed);
        Arc::new(double)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Runs `hook` in front of the next call of that name.
    pub(crate) fn before(
        &self,
        call: &'static str,
        hook: impl FnOnce(&mut State) + Send + 'static,
    ) {
        self.hooks.lock().unwrap().insert(call, Box::new(hook));
    }

    /// Fails the next call of that name.
    pub(crate) fn fail(&self, call: &'static str, kind: StoreErrorKind) {
        self.failures.lock().unwrap().insert(call, kind);
    }

    /// What was called since it was last asked.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn enter(&self, call: &'static str) -> Result<MutexGuard<'_, State>> {
        self.calls.lock().unwrap().push(call);
        let hook = self.hooks.lock().unwrap().remove(call);
        if let Some(hook) = hook {
            hook(&mut self.state());
        }
        match self.failures.lock().unwrap().remove(call) {
            Some(kind) => Err(StoreError::new(kind, "as the test wants it")),
            None => Ok(self.state()),
        }
    }

    async fn pause(&self) {
        let seed = self.seed.load(Ordering::Relaxed);
        // Marsaglia's xorshift: 0 stays 0.
        let seed = seed ^ (seed << 13);
        let seed = seed ^ (seed >> 7);
        let seed = seed ^ (seed << 17);
        self.seed.store(seed, Ordering::Relaxed);
        for _ in 0..seed % 8 {
            tokio::task::yield_now().await;
        }
    }

    fn covered(&self, upload: &Upload) -> UploadState {
        let mut hasher = Hasher::new(upload.algorithm);
        hasher.update(&upload.bytes);
        let mut state = UploadState::new(upload.bytes.len() as u64, hasher.save(), [upload.epoch]);
        state.hint = self.hints.load(Ordering::Relaxed);
        state
    }
}

impl fmt::Debug for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Double")
    }
}

fn newest<'a>(state: &'a mut State, key: &UploadKey, from: &UploadState) -> Result<&'a mut Upload> {
    let upload = state.uploads.get_mut(key);
    upload
        .filter(|upload| from.private == [upload.epoch])
        .ok_or_else(|| StoreError::conflict("superseded"))
}

#[async_trait]
impl BlobStore for Double {
    async fn check(&self) -> Result<()> {
        self.enter("check_blobs").map(drop)
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        let state = self.enter("stat")?;
        Ok(state.blobs.get(digest).map(|bytes| bytes.len() as u64))
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        let bytes = self.enter("open")?.blobs.get(digest).cloned();
        Ok(bytes.map(|bytes| Blob::new(bytes.len() as u64, bytes)))
    }

    async fn location(&self, digest: &Digest, lifetime: Duration) -> Result<Option<Location>> {
        let there = self.enter("location")?.blobs.contains_key(digest);
        let there = there && self.redirects.load(Ordering::Relaxed);
        let url = format!("https://blobs.example/{digest}?for={}", lifetime.as_secs());
        Ok(there.then(|| Location::new(url)))
    }

    async fn delete(&self, digest: &Digest) -> Result<bool> {
        Ok(self.enter("delete")?.blobs.remove(digest).is_some())
    }

    fn list(&self) -> BoxStream<'_, Result<StoredBlob>> {
        stream::empty().boxed()
    }

    async fn begin_upload(&self, key: &UploadKey, algorithm: Algorithm) -> Result<UploadState> {
        let mut state = self.enter("begin_upload")?;
        let upload = Upload {
            bytes: Vec::new(),
            epoch: 0,
            algorithm,
            modified: SystemTime::UNIX_EPOCH,
        };
        state.uploads.insert(key.clone(), upload.clone());
        Ok(self.covered(&upload))
    }

    async fn upload(&self, key: &UploadKey, _: Option<UploadState>) -> Result<Option<UploadState>> {
        let upload = self.enter("upload")?.uploads.get(key).cloned();
        Ok(upload.map(|upload| self.covered(&upload)))
    }

    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        mut body: ByteStream,
    ) -> Result<Written> {
        let mut from = from;
        {
            let mut state = self.enter("write_upload")?;
            let upload = newest(&mut state, key, &from)?;
            upload.epoch += 1;
            from.private = vec![upload.epoch];
        }
        let mut end = BodyEnd::Complete;
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => newest(&mut self.state(), key, &from)?.bytes.extend(&piece),
                Err(error) => {
                    end = BodyEnd::Cut(error);
                    break;
                }
            }
        }
        let mut state = self.state();
        let upload = newest(&mut state, key, &from)?;
        Ok(Written::new(self.covered(upload), end))
    }

    async fn digest_upload(
        &self,
        key: &UploadKey,
        from: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest> {
        let mut state = self.enter("digest_upload")?;
        Ok(algorithm.digest(&newest(&mut state, key, from)?.bytes))
    }

    async fn commit_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        digest: &Digest,
    ) -> Result<()> {
        let mut state = self.enter("commit_upload")?;
        let bytes = std::mem::take(&mut newest(&mut state, key, &from)?.bytes);
        state.uploads.remove(key);
        state.blobs.insert(digest.clone(), bytes.into());
        Ok(())
    }

    async fn abort_upload(&self, key: &UploadKey, _: Option<UploadState>) -> Result<()> {
        self.enter("abort_upload")?.uploads.remove(key);
        Ok(())
    }

    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload>> {
        let state = match self.enter("list_uploads") {
            Ok(state) => state,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let uploads = state.uploads.iter().map(|(key, upload)| {
            Ok(OpenUpload::new(
                key.clone(),
                SystemTime::UNIX_EPOCH,
                upload.modified,
            ))
        });
        stream::iter(uploads.collect::<Vec<_>>()).boxed()
    }
}

#[async_trait]
impl MetadataStore for Double {
    fn capabilities(&self) -> Capabilities {
        match self.atomic.load(Ordering::Relaxed) {
            true => Capabilities::none().with_atomic_tags(),
            false => Capabilities::none(),
        }
    }

    async fn check(&self) -> Result<()> {
        self.enter("check_records").map(drop)
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<()> {
        let mut state = self.enter("link_blob")?;
        state.known.insert(repository.clone());
        state
            .links
            .insert((repository.clone(), digest.clone()), link);
        Ok(())
    }

    async fn blob_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobLink>> {
        let state = self.enter("blob_link")?;
        Ok(state
            .links
            .get(&(repository.clone(), digest.clone()))
            .cloned())
    }

    async fn unlink_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        let mut state = self.enter("unlink_blob")?;
        Ok(state
            .links
            .remove(&(repository.clone(), digest.clone()))
            .is_some())
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>> {
        self.pause().await;
        let mut state = self.enter("put_manifest")?;
        let digest = record.descriptor.digest.clone();
        state.known.insert(repository.clone());
        state
            .manifests
            .insert((repository.clone(), digest.clone()), record);
        let holds = |state: &State, tag: &Tag, expect: &Expect| {
            expect.holds(state.tags.get(&(repository.clone(), tag.clone())))
        };
        let all = tags.iter().all(|(tag, expect)| holds(&state, tag, expect));
        let atomic = self.atomic.load(Ordering::Relaxed);
        let mut changes = Vec::new();
        for (tag, expect) in tags {
            let key = (repository.clone(), tag.clone());
            if if atomic {
                all
            } else {
                holds(&state, tag, expect)
            } {
                state.tags.insert(key, digest.clone());
                changes.push(TagChange::Applied);
            } else {
                changes.push(TagChange::Refused(state.tags.get(&key).cloned()));
            }
        }
        Ok(changes)
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>> {
        let state = self.enter("manifest")?;
        let record = state.manifests.get(&(repository.clone(), digest.clone()));
        Ok(record.map(|record| {
            let Descriptor {
                media_type, size, ..
            } = record.descriptor.clone();
            let descriptor = Descriptor::new(media_type, digest.clone(), size);
            StoredManifest::new(descriptor, record.bytes.clone())
        }))
    }

    async fn delete_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        self.pause().await;
        let mut state = self.enter("delete_manifest")?;
        state
            .tags
            .retain(|(name, _), to| name != repository || to != digest);
        Ok(state
            .manifests
            .remove(&(repository.clone(), digest.clone()))
            .is_some())
    }

    async fn tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>> {
        let state = self.enter("tag")?;
        Ok(state.tags.get(&(repository.clone(), tag.clone())).cloned())
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange> {
        let mut state = self.enter("delete_tag")?;
        let key = (repository.clone(), tag.clone());
        match state.tags.get(&key).cloned() {
            Some(current) if expect.holds(Some(&current)) => {
                state.tags.remove(&key);
                Ok(TagChange::Applied)
            }
            current => Ok(TagChange::Refused(current)),
        }
    }

    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool> {
        Ok(self.enter("repository_exists")?.known.contains(repository))
    }

    async fn repositories(&self, page: Page, visible: &Visible) -> Result<Listing<RepositoryName>> {
        let state = self.enter("repositories")?;
        let names: BTreeSet<_> = state
            .manifests
            .keys()
            .map(|(name, _)| name.clone())
            .collect();
        let names = names.into_iter().filter(|name| visible.contains(name));
        Ok(paged(names, &page, RepositoryName::as_str))
    }

    async fn tags(&self, repository: &RepositoryName, page: Page) -> Result<Listing<Tag>> {
        self.pause().await;
        let state = self.enter("tags")?;
        let tags = state.tags.keys().filter(|(name, _)| name == repository);
        Ok(paged(tags.map(|(_, tag)| tag.clone()), &page, Tag::as_str))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        let state = self.enter("referrers")?;
        let found = state
            .manifests
            .iter()
            .filter(|((name, digest), record)| {
                name == repository
                    && record.subject.as_ref() == Some(subject)
                    && !state.unlisted.contains(digest)
            })
            .map(|(_, record)| record.descriptor.clone())
            .filter(|descriptor| filter.allows(descriptor));
        let mut listing = paged(found, &page, |descriptor| descriptor.digest.as_str());
        let mut bytes = 0;
        let fits = listing.items.iter().take_while(|item| {
            bytes += serde_json::to_vec(item).unwrap().len();
            filter.max_bytes.is_none_or(|most| bytes <= most)
        });
        let fits = fits.count().max(1);
        if fits < listing.items.len() {
            listing.items.truncate(fits);
            listing.more = true;
        }
        Ok(listing)
    }

    fn live_digests(&self) -> BoxStream<'_, Result<Digest>> {
        stream::empty().boxed()
    }
}

fn paged<T>(items: impl Iterator<Item = T>, page: &Page, name: impl Fn(&T) -> &str) -> Listing<T> {
    let after = |item: &T| page.after.as_deref().is_none_or(|after| name(item) > after);
    let mut items: Vec<_> = items.filter(after).take(page.limit + 1).collect();
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    Listing::new(items, more)
}
