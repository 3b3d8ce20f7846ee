//! Seam 1 over both stores, called without HTTP: what races and cancellations are tried on.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{
    Algorithm, BlobReply, ByteRange, Context, Digest, Engine, Error, ErrorCode, Expect, Page,
    Reference, Registry, RepositoryName, Tag,
    event::{Event, EventAction, EventError, EventSink},
    layer::Observed,
    registry::{Chunk, Finish, GetBlob, ManifestPush, StartUpload, UploadSession, UploadStart},
    store::UploadId,
};

use crate::support::{Folder, Store};

/// Random numbers that a seed repeats (SplitMix64).
#[derive(Debug)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// One of these.
    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Keeps every event.
#[derive(Debug, Default)]
pub(crate) struct Recorded(Mutex<Vec<Event>>);

impl Recorded {
    /// Whether this was told.
    pub(crate) fn has(&self, action: EventAction, digest: &Digest) -> bool {
        let events = self.0.lock().unwrap();
        events.iter().any(|event| {
            event.action == action
                && event
                    .target
                    .as_ref()
                    .is_some_and(|target| target.digest == *digest)
        })
    }
}

#[async_trait]
impl EventSink for Recorded {
    async fn publish(&self, event: &Event) -> Result<(), EventError> {
        // One wait more at which a caller may leave.
        tokio::task::yield_now().await;
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }
}

/// Registries over one set of data: on disk each over its own instance of the store, as processes
/// have them, in memory clones of one.
#[derive(Debug)]
pub(crate) struct Registries {
    pub(crate) each: Vec<Arc<dyn Registry>>,
    pub(crate) events: Arc<Recorded>,
    _folder: Folder,
}

impl Registries {
    pub(crate) fn new(store: Store, count: usize) -> Self {
        let folder = Folder::new();
        let events = Arc::new(Recorded::default());
        let mut shared = None;
        let each = (0..count).map(|_| {
            let (blobs, metadata) = match store {
                Store::Fs => store.open(folder.path()),
                Store::Memory => shared
                    .get_or_insert_with(|| store.open(folder.path()))
                    .clone(),
            };
            let engine = Engine::builder().blobs(blobs).metadata(metadata).build();
            let sink: Arc<dyn EventSink> = Arc::clone(&events) as _;
            Arc::new(Observed::new(engine, sink)) as Arc<dyn Registry>
        });
        Self {
            each: each.collect(),
            events,
            _folder: folder,
        }
    }

    pub(crate) fn one(&self) -> &dyn Registry {
        &*self.each[0]
    }
}

pub(crate) fn repository(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn digest(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

/// An empty index, different for each text.
pub(crate) fn manifest(text: &str) -> Bytes {
    format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"text":"{text}"}}}}"#).into()
}

pub(crate) async fn start(registry: &dyn Registry, repository: &RepositoryName) -> UploadSession {
    let cx = Context::anonymous();
    match registry
        .start_upload(&cx, repository, StartUpload::default())
        .await
        .unwrap()
    {
        UploadStart::Started(session) => session,
        UploadStart::Mounted { .. } => panic!("nothing was to be mounted"),
    }
}

pub(crate) async fn append(
    registry: &dyn Registry,
    repository: &RepositoryName,
    id: &UploadId,
    start: u64,
    bytes: &[u8],
) -> Result<UploadSession, Error> {
    let chunk = Chunk::new(Bytes::copy_from_slice(bytes))
        .at(start)
        .length(bytes.len() as u64);
    registry
        .append_upload(&Context::anonymous(), repository, id, chunk)
        .await
}

pub(crate) async fn finish(
    registry: &dyn Registry,
    repository: &RepositoryName,
    id: &UploadId,
    digest: &Digest,
) -> Result<(), Error> {
    let finish = Finish::new(digest.clone()).chunk(Chunk::new(Bytes::new()).length(0));
    let done = registry
        .finish_upload(&Context::anonymous(), repository, id, finish)
        .await;
    done.map(|descriptor| assert_eq!(descriptor.digest, *digest))
}

pub(crate) async fn push_blob(
    registry: &dyn Registry,
    repository: &RepositoryName,
    content: &[u8],
) -> Digest {
    let session = start(registry, repository).await;
    append(registry, repository, &session.id, 0, content)
        .await
        .unwrap();
    let digest = digest(content);
    finish(registry, repository, &session.id, &digest)
        .await
        .unwrap();
    digest
}

pub(crate) async fn push_tag(
    registry: &dyn Registry,
    repository: &RepositoryName,
    text: &str,
    name: &str,
    expect: Expect,
) -> Result<Digest, Error> {
    let push = ManifestPush::new(manifest(text)).tag(tag(name), expect);
    let pushed = registry
        .put_manifest(&Context::anonymous(), repository, push)
        .await?;
    Ok(pushed.descriptor.digest)
}

/// What a blob holds, if it is there. Whatever it holds must be of its digest.
pub(crate) async fn read_blob(
    registry: &dyn Registry,
    repository: &RepositoryName,
    digest: &Digest,
) -> Option<Vec<u8>> {
    use futures_util::StreamExt as _;

    let cx = Context::anonymous();
    let reply = match registry
        .get_blob(&cx, repository, digest, GetBlob::direct())
        .await
    {
        Ok(reply) => reply,
        Err(error) if error.code() == ErrorCode::BlobUnknown => return None,
        Err(error) => panic!("{digest}: {error:?}"),
    };
    let BlobReply::Blob(blob) = reply else {
        panic!("no redirect was asked for");
    };
    let mut stream = blob.source.read(ByteRange::whole(blob.size));
    let mut content = Vec::new();
    while let Some(piece) = stream.next().await {
        content.extend(piece.unwrap());
    }
    let algorithm = digest.content_algorithm().unwrap();
    assert_eq!(
        algorithm.digest(&content),
        *digest,
        "a blob whose bytes are not its digest"
    );
    Some(content)
}

/// Every tag that is listed leads to a manifest whose bytes are its digest. A tag that is being
/// deleted may go between the list and the look at it, but then the next list does not have it.
pub(crate) async fn assert_tags_lead_somewhere(
    registry: &dyn Registry,
    repository: &RepositoryName,
) {
    let cx = Context::anonymous();
    let mut lost: Vec<Tag> = Vec::new();
    for _ in 0..1000 {
        let listed = registry.list_tags(&cx, repository, Page::first(1000)).await;
        let tags = match listed {
            Ok(tags) => tags.items,
            Err(error) if error.code() == ErrorCode::NameUnknown => return,
            Err(error) => panic!("{error:?}"),
        };
        lost.clear();
        for tag in tags {
            let reference = Reference::Tag(tag.clone());
            match registry.get_manifest(&cx, repository, &reference).await {
                Ok(found) => assert_eq!(digest(&found.bytes), found.descriptor.digest, "{tag}"),
                Err(error) if error.code() == ErrorCode::ManifestUnknown => lost.push(tag),
                Err(error) => panic!("{tag}: {error:?}"),
            }
        }
        if lost.is_empty() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("tags without their manifests: {lost:?}");
}

/// Where a tag points to.
pub(crate) async fn points_to(
    registry: &dyn Registry,
    repository: &RepositoryName,
    name: &str,
) -> Option<Digest> {
    let reference = Reference::Tag(tag(name));
    let found = registry
        .get_manifest(&Context::anonymous(), repository, &reference)
        .await;
    match found {
        Ok(manifest) => Some(manifest.descriptor.digest),
        Err(error)
            if [ErrorCode::ManifestUnknown, ErrorCode::NameUnknown].contains(&error.code()) =>
        {
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}
