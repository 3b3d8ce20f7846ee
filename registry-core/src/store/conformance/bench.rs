//! What rules are written with: the two instances, shorthands over them, and faults.

use std::{fmt, time::SystemTime};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;

use super::Stores;
use crate::{
    content::{Blob, ByteStream},
    digest::Digest,
    hash::Algorithm,
    manifest::{Document, Limits},
    name::RepositoryName,
    range::ByteRange,
    reference::{Expect, Tag},
    store::{
        ManifestRecord, StoreError, StoreErrorKind, TagChange, UploadId, UploadKey, UploadState,
        pace::give_way,
    },
};

/// How often a rule asks again for what another writer is about to let go.
const PATIENCE: usize = 10_000;

/// The instance that a rule acts on, and the one that it looks from. They may be the same.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) here: Stores,
    pub(super) there: Stores,
}

/// What was seen that the rule forbids.
#[derive(Debug)]
pub(super) struct Fault(pub(super) String);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self(format!("unexpected error: {error} ({:?})", error.kind()))
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self(format!("unexpected error in a body: {error}"))
    }
}

/// What a rule comes to.
pub(super) type Outcome = Result<(), Fault>;

/// Fails the rule unless the condition holds.
macro_rules! hold {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(crate::store::conformance::bench::Fault(format!($($message)+)));
        }
    };
}

/// Fails the rule unless both are equal.
macro_rules! same {
    ($seen:expr, $wanted:expr, $($what:tt)+) => {{
        let (seen, wanted) = (&$seen, &$wanted);
        if seen != wanted {
            let what = format!($($what)+);
            let message = format!("{what}: {seen:?} instead of {wanted:?}");
            return Err(crate::store::conformance::bench::Fault(message));
        }
    }};
}

/// A table of rules: the sentence, and the function that checks it.
macro_rules! rules {
    ($($name:ident: $sentence:literal,)+) => {
        pub(super) const RULES: &[crate::store::conformance::Rule] = &[$(
            crate::store::conformance::Rule {
                name: stringify!($name),
                sentence: $sentence,
                run: |bench| Box::pin($name(bench)),
            },
        )+];
    };
}

pub(super) use {hold, rules, same};

/// Fails the rule unless the result is a conflict.
pub(super) fn conflict<T: fmt::Debug>(result: Result<T, StoreError>, what: &str) -> Outcome {
    match result {
        Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(()),
        other => Err(Fault(format!("{what}: {other:?} instead of a Conflict"))),
    }
}

/// The repository of that name.
pub(super) fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).expect("the suite's names are valid")
}

/// The tag of that name.
pub(super) fn tag(name: &str) -> Tag {
    Tag::parse(name).expect("the suite's tags are valid")
}

/// An upload in the repository `suite/uploads`.
pub(super) fn key(id: &str) -> UploadKey {
    let id = UploadId::parse(id).expect("the suite's identifiers are valid");
    UploadKey::new(repository("suite/uploads"), id)
}

/// A state as it comes back from a client, where the store asks for that.
pub(super) fn hint(state: &UploadState) -> Option<UploadState> {
    state.hint.then(|| state.clone())
}

/// Bytes that differ at every offset and with every seed.
pub(super) fn content(seed: u8, length: usize) -> Bytes {
    let byte = |at: usize| (at.wrapping_mul(31) ^ (at >> 8) ^ usize::from(seed)) as u8;
    (0..length).map(byte).collect()
}

/// Every digest that no content is stored under.
pub(super) fn foreign() -> [Digest; 2] {
    [
        "blake3:0123abcd",
        "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
    ]
    .map(|text| Digest::parse(text).expect("it follows the grammar"))
}

/// The time that the suite writes at.
pub(super) fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)
}

/// An index with no manifests, told from others by its number.
pub(super) fn manifest(number: usize) -> ManifestRecord {
    record(
        json!({ "annotations": { "suite.number": number.to_string() } }),
        Algorithm::Sha256,
    )
}

/// An index of that artifact type which is about `subject`.
pub(super) fn referrer(number: usize, subject: &Digest, artifact_type: &str) -> ManifestRecord {
    let subject = json!({
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": subject, "size": 1,
    });
    let annotations = json!({ "suite.number": number.to_string() });
    let fields =
        json!({ "subject": subject, "artifactType": artifact_type, "annotations": annotations });
    record(fields, Algorithm::Sha256)
}

/// An index with these fields beside the obligatory ones, under a digest of `algorithm`.
pub(super) fn record(mut fields: serde_json::Value, algorithm: Algorithm) -> ManifestRecord {
    fields["schemaVersion"] = 2.into();
    fields["mediaType"] = "application/vnd.oci.image.index.v1+json".into();
    fields["manifests"] = json!([]);
    // Spaces and a line end, since the bytes count and not the document.
    let bytes = Bytes::from(format!("{fields:#}\n "));
    let document = Document::parse(&bytes, None, &Limits::default());
    let document = document.expect("the suite's manifests are valid");
    let descriptor = document.descriptor(algorithm.digest(&bytes), bytes.len() as u64);
    ManifestRecord {
        subject: document.subject.map(|subject| subject.digest),
        ..ManifestRecord::new(descriptor, bytes, at())
    }
}

/// All bytes of a stream.
pub(super) async fn all(mut stream: ByteStream) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

/// All bytes of a blob.
pub(super) async fn whole(blob: &Blob) -> Result<Vec<u8>, Fault> {
    all(blob.source.read(ByteRange::whole(blob.size))).await
}

/// All entries of a listing.
pub(super) async fn entries<T>(
    listing: impl Stream<Item = Result<T, StoreError>>,
) -> Result<Vec<T>, Fault> {
    Ok(listing.try_collect().await?)
}

impl Stores {
    /// Uploads bytes and makes a blob of them.
    pub(super) async fn push(&self, id: &str, bytes: &Bytes) -> Result<Digest, Fault> {
        self.push_as(id, bytes, Algorithm::Sha256).await
    }

    /// As [`push`](Self::push), under that algorithm.
    pub(super) async fn push_as(
        &self,
        id: &str,
        bytes: &Bytes,
        algorithm: Algorithm,
    ) -> Result<Digest, Fault> {
        let key = key(id);
        let state = self.blobs.begin_upload(&key, algorithm).await?;
        let body = ByteStream::from(bytes.clone());
        let state = self.blobs.write_upload(&key, state, body).await?.state;
        let digest = self.blobs.digest_upload(&key, &state, algorithm).await?;
        same!(digest, algorithm.digest(bytes), "digest_upload of {id}");
        self.blobs.commit_upload(&key, state, &digest).await?;
        Ok(digest)
    }

    /// Writes what is missing of `bytes` behind what is there, makes a blob of all, and reads it
    /// back. Whoever still holds the upload is superseded.
    pub(super) async fn go_on(
        &self,
        key: &UploadKey,
        from: &UploadState,
        bytes: &Bytes,
    ) -> Outcome {
        for _ in 0..PATIENCE {
            let Some(state) = self.blobs.upload(key, hint(from)).await? else {
                return Err(Fault("the upload is gone".to_owned()));
            };
            let there = usize::try_from(state.length).unwrap_or(usize::MAX);
            hold!(
                there <= bytes.len(),
                "there are {there} bytes, more than were sent"
            );
            let rest = ByteStream::from(bytes.slice(there..));
            match self.blobs.write_upload(key, state, rest).await {
                Ok(written) => return self.publish(key, written.state, bytes).await,
                Err(error) if error.kind() == StoreErrorKind::Conflict => give_way().await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Fault("nobody could go on with the upload".to_owned()))
    }

    /// Makes a blob of exactly these bytes, and reads it back.
    pub(super) async fn publish(
        &self,
        key: &UploadKey,
        state: UploadState,
        bytes: &Bytes,
    ) -> Outcome {
        let algorithm = state.algorithm();
        same!(state.length, bytes.len() as u64, "the length of the upload");
        let digest = self.blobs.digest_upload(key, &state, algorithm).await?;
        same!(digest, algorithm.digest(bytes), "the digest of the upload");
        self.blobs.commit_upload(key, state, &digest).await?;
        self.holds(&digest, bytes).await
    }

    /// Fails unless exactly these bytes are there under the digest.
    pub(super) async fn holds(&self, digest: &Digest, bytes: &Bytes) -> Outcome {
        same!(
            self.blobs.stat(digest).await?,
            Some(bytes.len() as u64),
            "stat"
        );
        let Some(blob) = self.blobs.open(digest).await? else {
            return Err(Fault(format!("{digest} cannot be opened")));
        };
        same!(blob.size, bytes.len() as u64, "the size of the opened blob");
        hold!(whole(&blob).await? == bytes[..], "{digest} has other bytes");
        Ok(())
    }

    /// Fails unless there is nothing under the digest.
    pub(super) async fn lacks(&self, digest: &Digest) -> Outcome {
        same!(self.blobs.stat(digest).await?, None, "stat");
        hold!(
            self.blobs.open(digest).await?.is_none(),
            "{digest} can be opened"
        );
        let listed = entries(self.blobs.list()).await?;
        hold!(
            listed.iter().all(|blob| blob.digest != *digest),
            "{digest} is listed"
        );
        Ok(())
    }

    /// Stores a manifest with tags, all of them unconditional.
    pub(super) async fn put(
        &self,
        repository: &RepositoryName,
        record: &ManifestRecord,
        tags: &[&str],
    ) -> Result<Digest, Fault> {
        let wanted: Vec<_> = tags.iter().map(|name| (tag(name), Expect::Any)).collect();
        let changes = (self.metadata)
            .put_manifest(repository, record.clone(), &wanted)
            .await?;
        same!(
            changes,
            vec![TagChange::Applied; tags.len()],
            "the tags {tags:?}"
        );
        Ok(record.descriptor.digest.clone())
    }
}
