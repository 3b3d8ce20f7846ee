//! What the tests talk about: names, contents, and an engine with some of it inside.

use std::{io, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use registry_core::{
    Algorithm, Blob, ByteRange, ByteStream, Clock, Context, Digest, Engine, ErrorCode, MediaType,
    Reference, Registry, RepositoryName, Result, Tag,
    engine::EngineBuilder,
    registry::{Finish, ManifestPush, StartUpload, UploadSession, UploadStart},
    store::{BlobStore, MetadataStore},
};

use crate::double::Double;

pub(crate) type Stores = (Arc<dyn BlobStore>, Arc<dyn MetadataStore>);

pub(crate) fn builder(
    store: &Arc<Double>,
) -> EngineBuilder<Arc<dyn BlobStore>, Arc<dyn MetadataStore>> {
    let (blobs, metadata): Stores = (Arc::<Double>::clone(store), Arc::<Double>::clone(store));
    Engine::builder().blobs(blobs).metadata(metadata)
}

pub(crate) fn engine() -> (Engine, Arc<Double>) {
    let store = Double::new();
    (builder(&store).build(), store)
}

pub(crate) fn cx() -> Context {
    Context::anonymous()
}

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn by_tag(text: &str) -> Reference {
    Reference::Tag(tag(text))
}

pub(crate) fn sha256(content: &str) -> Digest {
    Algorithm::Sha256.digest(content.as_bytes())
}

pub(crate) fn sha512(content: &str) -> Digest {
    Algorithm::Sha512.digest(content.as_bytes())
}

#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.expect_err("it should be refused").code()
}

pub(crate) fn body(pieces: &[&'static str]) -> ByteStream {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
    ByteStream::new(stream::iter(pieces))
}

/// A body that fails behind its bytes.
pub(crate) fn cut_body(content: &'static str, kind: io::ErrorKind) -> ByteStream {
    ByteStream::new(stream::iter([Ok(Bytes::from(content)), Err(kind.into())]))
}

/// A body that must not be looked at.
pub(crate) fn untouchable() -> ByteStream {
    ByteStream::new(stream::once(async {
        panic!("the body was polled before the checks")
    }))
}

pub(crate) async fn text(blob: &Blob) -> String {
    let pieces: Vec<_> = blob
        .source
        .read(ByteRange::whole(blob.size))
        .collect()
        .await;
    let bytes: Vec<u8> = pieces
        .into_iter()
        .flat_map(|piece| piece.unwrap())
        .collect();
    String::from_utf8(bytes).unwrap()
}

pub(crate) async fn started(registry: &impl Registry, repository: &str) -> UploadSession {
    let started = registry
        .start_upload(&cx(), &name(repository), StartUpload::default())
        .await;
    match started.unwrap() {
        UploadStart::Started(session) => session,
        UploadStart::Mounted { .. } => panic!("nothing was to be mounted"),
    }
}

pub(crate) async fn push_blob(
    registry: &impl Registry,
    repository: &str,
    content: &'static str,
) -> Digest {
    let session = started(registry, repository).await;
    let chunk = registry_core::registry::Chunk::new(Bytes::from(content));
    let finish = Finish::new(sha256(content)).chunk(chunk);
    let pushed = registry
        .finish_upload(&cx(), &name(repository), &session.id, finish)
        .await;
    pushed.unwrap().digest
}

/// An index that differs with `label`.
pub(crate) fn index(label: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"label":"{label}"}}}}"#)
}

/// An index about `subject`.
pub(crate) fn referrer(label: &str, subject: &Digest, artifact_type: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"label":"{label}"}},"artifactType":"{artifact_type}","subject":{{"mediaType":"{}","digest":"{subject}","size":1}}}}"#,
        MediaType::oci_manifest()
    )
}

pub(crate) fn push(content: impl Into<String>) -> ManifestPush {
    ManifestPush::new(content.into())
}

pub(crate) async fn push_index(
    registry: &impl Registry,
    repository: &str,
    label: &str,
    tags: &[&str],
) -> Digest {
    let push = tags.iter().fold(push(index(label)), |push, text| {
        push.tag(tag(text), Default::default())
    });
    let pushed = registry.put_manifest(&cx(), &name(repository), push).await;
    pushed.unwrap().descriptor.digest
}

/// A clock that stands.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) SystemTime);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        self.0
    }
}
