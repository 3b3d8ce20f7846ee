//! What can be asked of a registry, where a name alone does not say it.

use super::{ManifestContent, UploadState};
use crate::{
    access::Visible,
    content::ByteStream,
    digest::Digest,
    hash::Algorithm,
    media_type::MediaType,
    name::RepositoryName,
    reference::{Expect, Tag},
};

/// How a blob is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetBlob {
    /// Answer with the blob itself, never with a redirect.
    pub direct: bool,
}

impl GetBlob {
    /// Answer with the blob itself.
    pub fn direct() -> Self {
        Self { direct: true }
    }
}

/// How an upload is started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StartUpload {
    /// The algorithm that the digest will be of, where the client says so (end-4c).
    pub algorithm: Option<Algorithm>,
    /// The blob to mount instead, if it can be had.
    pub mount: Option<Mount>,
    /// The repositories that the caller may pull from: all that a mount may use.
    pub visible: Visible,
}

impl StartUpload {
    /// An upload, hashed under that algorithm as it arrives.
    pub fn algorithm(algorithm: Algorithm) -> Self {
        Self {
            algorithm: Some(algorithm),
            ..Self::default()
        }
    }

    /// A mount, or an upload if it cannot be had.
    pub fn mount(mount: Mount) -> Self {
        Self {
            mount: Some(mount),
            ..Self::default()
        }
    }
}

/// A blob to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// The blob.
    pub digest: Digest,
    /// The repository that has it; `None` is any.
    pub from: Option<RepositoryName>,
}

impl Mount {
    /// That blob, from that repository or any.
    pub fn new(digest: Digest, from: Option<RepositoryName>) -> Self {
        Self { digest, from }
    }
}

/// A chunk of an upload.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chunk {
    /// The offset of its first byte, where the client says so.
    pub start: Option<u64>,
    /// How many bytes it has, where the client says so.
    pub length: Option<u64>,
    /// Its bytes.
    pub body: ByteStream,
    /// What the session carried as its hint.
    pub hint: Option<UploadState>,
}

impl Chunk {
    /// These bytes, at the end of what is there.
    pub fn new(body: impl Into<ByteStream>) -> Self {
        Self {
            start: None,
            length: None,
            body: body.into(),
            hint: None,
        }
    }

    /// States the offset of its first byte.
    #[must_use]
    pub fn at(self, start: u64) -> Self {
        Self {
            start: Some(start),
            ..self
        }
    }

    /// States its length.
    #[must_use]
    pub fn length(self, length: u64) -> Self {
        Self {
            length: Some(length),
            ..self
        }
    }

    /// Passes on the hint of the session.
    #[must_use]
    pub fn hint(self, hint: Option<UploadState>) -> Self {
        Self { hint, ..self }
    }
}

/// How an upload is finished.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finish {
    /// The digest of the whole content.
    pub digest: Digest,
    /// The last chunk; it may be empty.
    pub chunk: Chunk,
}

impl Finish {
    /// Nothing more to send.
    pub fn new(digest: Digest) -> Self {
        Self {
            digest,
            chunk: Chunk::new(ByteStream::empty()).length(0),
        }
    }

    /// With a last chunk.
    #[must_use]
    pub fn chunk(self, chunk: Chunk) -> Self {
        Self { chunk, ..self }
    }
}

/// A manifest to push.
#[derive(Debug)]
#[non_exhaustive]
pub struct ManifestPush {
    /// Its bytes.
    pub content: ManifestContent,
    /// Its media type; `None` is whatever the document says.
    pub media_type: Option<MediaType>,
    /// The digest it is pushed by; `None` is that of its bytes, under SHA-256.
    pub digest: Option<Digest>,
    /// What is expected of a manifest of that digest, where it is pushed by digest without tags.
    pub expect: Expect,
    /// The tags to set, each with what is expected of it.
    pub tags: Vec<(Tag, Expect)>,
}

impl ManifestPush {
    /// A manifest without tags: bytes, or a [`ManifestContent`] that is still on its way.
    pub fn new(content: impl Into<ManifestContent>) -> Self {
        Self {
            content: content.into(),
            media_type: None,
            digest: None,
            expect: Expect::Any,
            tags: Vec::new(),
        }
    }

    /// States its media type.
    #[must_use]
    pub fn media_type(self, media_type: MediaType) -> Self {
        Self {
            media_type: Some(media_type),
            ..self
        }
    }

    /// States its digest.
    #[must_use]
    pub fn digest(self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }

    /// States what is expected of a manifest of its digest.
    #[must_use]
    pub fn expect(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    /// Sets a tag, if it is as expected.
    #[must_use]
    pub fn tag(mut self, tag: Tag, expect: Expect) -> Self {
        self.tags.push((tag, expect));
        self
    }
}
