//! Pushing, reading and deleting manifests and their tags.

use super::Inner;
use crate::{
    access::Context,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    hash::Algorithm,
    manifest::{Document, InvalidManifest, ambiguous_key},
    name::RepositoryName,
    reference::{Expect, Reference, Tag},
    registry::{Manifest, ManifestPush, PushedManifest},
    store::{ManifestRecord, StoredManifest, TagChange},
};

/// How often a tag is followed anew when its manifest was deleted between the two steps.
const FOLLOWED: usize = 4;

impl Inner {
    pub(super) async fn read_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        let found = match reference {
            Reference::Digest(digest) => self.metadata.manifest(repository, digest).await?,
            Reference::Tag(tag) => self.follow(repository, tag).await?,
        };
        match found {
            Some(StoredManifest { descriptor, bytes }) => Ok(Manifest::new(descriptor, bytes)),
            // Also where there is no such repository: clients know what to do about this one.
            None => Err(unknown(reference)),
        }
    }

    /// The manifest that a tag points to. When a manifest is gone that the tag pointed to a moment
    /// ago, the tag has moved or is gone as well.
    async fn follow(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<StoredManifest>> {
        for _ in 0..FOLLOWED {
            let Some(digest) = self.metadata.tag(repository, tag).await? else {
                return Ok(None);
            };
            if let Some(manifest) = self.metadata.manifest(repository, &digest).await? {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }

    pub(super) async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        mut push: ManifestPush,
    ) -> Result<PushedManifest> {
        let bytes = push.content.read().await?;
        let document = Document::parse(&bytes, push.media_type.as_ref(), &self.limits.manifest)?;
        if let Some(key) = ambiguous_key(&bytes) {
            return Err(InvalidManifest::AmbiguousKey { key }.into());
        }
        let digest = verified(push.digest, &bytes)?;
        self.manifests
            .admit(&document)
            .map_err(|reason| Error::new(ErrorCode::Denied, reason))?;
        self.check_urls(&document)?;
        self.check_references(repository, &document).await?;
        let tags = without_repetition(push.tags);
        if tags.is_empty() && push.expect != Expect::Any {
            self.expect_manifest(repository, &digest, &push.expect)
                .await?;
        }

        let size = bytes.len() as u64;
        let subject = document.subject.as_ref().map(|child| child.digest.clone());
        let mut references: Vec<_> = document
            .children()
            .map(|child| child.digest.clone())
            .collect();
        references.sort_unstable();
        references.dedup();
        let record = ManifestRecord {
            subject: subject.clone(),
            references,
            by: cx.principal.name.as_deref().map(str::to_owned),
            ..ManifestRecord::new(
                document.descriptor(digest.clone(), size),
                bytes,
                self.clock.now(),
            )
        };
        let changes = self
            .metadata
            .put_manifest(repository, record, &tags)
            .await?;
        let set = self.tags_set(tags, &changes)?;
        let descriptor = Descriptor::new(document.media_type, digest, size);
        Ok(PushedManifest::new(descriptor, subject, set))
    }

    pub(super) async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        expect: &Expect,
    ) -> Result<()> {
        self.deletes_are_on()?;
        match reference {
            Reference::Tag(tag) => match self.metadata.delete_tag(repository, tag, expect).await? {
                TagChange::Applied => Ok(()),
                TagChange::Refused(None) => Err(unknown(reference)),
                TagChange::Refused(Some(_)) => Err(unexpected(tag.as_str())),
            },
            Reference::Digest(digest) => {
                if *expect != Expect::Any {
                    self.expect_manifest(repository, digest, expect).await?;
                }
                if self.metadata.delete_manifest(repository, digest).await? {
                    Ok(())
                } else {
                    Err(unknown(reference))
                }
            }
        }
    }

    /// Whether a manifest is there, or not, as is expected of it. A manifest never changes, so this
    /// is all that can be expected, and it is checked before the write and not with it.
    async fn expect_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        expect: &Expect,
    ) -> Result<()> {
        let stored = self.metadata.manifest(repository, digest).await?;
        if expect.holds(stored.map(|_| digest)) {
            Ok(())
        } else {
            Err(unexpected(digest.as_str()))
        }
    }

    /// The tags that were set, or that the push failed. What a store does not promise is not
    /// promised here: without atomic tags some may be set and others not.
    fn tags_set(&self, tags: Vec<(Tag, Expect)>, changes: &[TagChange]) -> Result<Vec<Tag>> {
        let wanted = tags.len();
        let refused = tags
            .iter()
            .zip(changes)
            .find(|(_, change)| **change != TagChange::Applied)
            .map(|((tag, _), _)| tag.clone());
        let set: Vec<_> = tags
            .into_iter()
            .zip(changes)
            .filter(|(_, change)| **change == TagChange::Applied)
            .map(|((tag, _), _)| tag)
            .collect();
        let atomic = self.metadata.capabilities().atomic_tags;
        match refused {
            Some(tag) if atomic || set.is_empty() => Err(unexpected(tag.as_str())),
            None if set.len() < wanted => Err(Error::new(
                ErrorCode::Unknown,
                "the store did not say what became of a tag",
            )),
            Some(_) | None => Ok(set),
        }
    }

    fn check_urls(&self, document: &Document) -> Result<()> {
        let urls = document
            .children()
            .flat_map(|child| child.urls.iter().flatten());
        match urls.into_iter().find(|url| !self.urls.allows(url)) {
            None => Ok(()),
            Some(url) => Err(Error::new(
                ErrorCode::ManifestInvalid,
                "the manifest has a URL that this registry does not allow",
            )
            .detail(url.as_str())),
        }
    }
}

/// The digest of a manifest: what was given, if that is right.
fn verified(given: Option<Digest>, bytes: &[u8]) -> Result<Digest> {
    let Some(given) = given else {
        return Ok(Algorithm::Sha256.digest(bytes));
    };
    let invalid = |message| Err(Error::new(ErrorCode::DigestInvalid, message));
    match given.content_algorithm() {
        None => invalid("content is stored under sha256 and sha512 only"),
        Some(algorithm) if algorithm.digest(bytes) == given => Ok(given),
        Some(_) => invalid("the manifest has not the digest that was given"),
    }
}

/// Each tag once, where it was first named, with all that was expected of it.
fn without_repetition(tags: Vec<(Tag, Expect)>) -> Vec<(Tag, Expect)> {
    let mut once: Vec<(Tag, Expect)> = Vec::with_capacity(tags.len());
    for (tag, expect) in tags {
        match once.iter_mut().find(|(seen, _)| *seen == tag) {
            Some((_, seen)) => *seen = seen.and(&expect),
            None => once.push((tag, expect)),
        }
    }
    once
}

pub(super) fn unknown_repository(repository: &RepositoryName) -> Error {
    Error::new(ErrorCode::NameUnknown, "the repository is not known").detail(repository.as_str())
}

fn unknown(reference: &Reference) -> Error {
    Error::new(
        ErrorCode::ManifestUnknown,
        "the manifest is not in this repository",
    )
    .detail(reference.to_string())
}

fn unexpected(what: &str) -> Error {
    Error::new(
        ErrorCode::PreconditionFailed,
        "what the request names is not as it expects",
    )
    .detail(what)
}
