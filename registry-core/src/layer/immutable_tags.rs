//! A registry whose tags, or some of them, never move.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    access::{Context, Visible},
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    hash::Algorithm,
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Reference, Tag},
    registry::{
        Chunk, Finish, GetBlob, Manifest, ManifestPush, PushedManifest, ReferrersFilter, Registry,
        StartUpload, UploadId, UploadSession, UploadStart, UploadState,
    },
};

use super::in_flight::InFlight;

/// Keeps tags where they are: one for which the predicate says so can be set once, to one manifest.
/// Setting it again to the same manifest is fine; moving it, deleting it, or deleting the manifest it
/// points to is `PreconditionFailed`.
///
/// That a tag is not moved is decided by the store in the act of setting it, through [`Expect`], so
/// it holds between racing writers wherever the store keeps expectations exactly. That a manifest
/// is not deleted while an immutable tag is set to it is kept among the users of this layer and its
/// clones; a program that writes elsewhere is not kept from anything. Whoever deletes a manifest
/// must be able to list the tags of what is inside: put authorization around this layer, not into it.
///
/// ```
/// use registry_core::{Registry, layer::ImmutableTags};
///
/// fn releases_stay(registry: impl Registry) -> impl Registry {
///     ImmutableTags::new(registry, |_, tag| tag.as_str().starts_with('v'))
/// }
/// ```
#[derive(Clone)]
pub struct ImmutableTags<R> {
    inner: R,
    #[expect(clippy::type_complexity, reason = "it is written once")]
    immutable: Arc<dyn Fn(&RepositoryName, &Tag) -> bool + Send + Sync>,
    in_flight: Arc<InFlight>,
}

/// How many tags are looked at in one go when a manifest is deleted.
const PAGE: usize = 1000;

impl<R: Registry> ImmutableTags<R> {
    /// `inner`, with the tags immutable for which `immutable` says so.
    pub fn new(
        inner: R,
        immutable: impl Fn(&RepositoryName, &Tag) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            immutable: Arc::new(immutable),
            in_flight: Arc::default(),
        }
    }

    /// An immutable tag that points to a manifest.
    async fn immutable_tag_of(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Tag>> {
        let mut page = Page::first(PAGE);
        loop {
            let listing = match self.inner.list_tags(cx, repository, page).await {
                Err(error) if error.code() == ErrorCode::NameUnknown => return Ok(None),
                listing => listing?,
            };
            for tag in &listing.items {
                if !(self.immutable)(repository, tag) {
                    continue;
                }
                let reference = Reference::Tag(tag.clone());
                match self.inner.stat_manifest(cx, repository, &reference).await {
                    Ok(manifest) if manifest.digest == *digest => return Ok(Some(tag.clone())),
                    Ok(_) => {}
                    Err(error) if error.code() == ErrorCode::ManifestUnknown => {}
                    Err(error) => return Err(error),
                }
            }
            match listing.items.last() {
                Some(last) if listing.more => page = Page::first(PAGE).after(last.as_str()),
                _ => return Ok(None),
            }
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for ImmutableTags<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImmutableTags")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Registry> Registry for ImmutableTags<R> {
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        self.inner.stat_blob(cx, repository, digest).await
    }

    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        self.inner.get_blob(cx, repository, digest, options).await
    }

    async fn delete_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        self.inner.delete_blob(cx, repository, digest).await
    }

    async fn start_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        self.inner.start_upload(cx, repository, request).await
    }

    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        self.inner.upload_session(cx, repository, id, hint).await
    }

    async fn append_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        self.inner.append_upload(cx, repository, id, chunk).await
    }

    async fn finish_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        self.inner.finish_upload(cx, repository, id, finish).await
    }

    async fn cancel_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        self.inner.cancel_upload(cx, repository, id, hint).await
    }

    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        self.inner.stat_manifest(cx, repository, reference).await
    }

    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        self.inner.get_manifest(cx, repository, reference).await
    }

    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        mut push: ManifestPush,
    ) -> Result<PushedManifest> {
        let is_immutable = |tag: &Tag| (self.immutable)(repository, tag);
        if !push.tags.iter().any(|(tag, _)| is_immutable(tag)) {
            return self.inner.put_manifest(cx, repository, push).await;
        }
        let digest = match &push.digest {
            Some(digest) => digest.clone(),
            None => Algorithm::Sha256.digest(&push.content.read().await?),
        };
        for (tag, expect) in &mut push.tags {
            if is_immutable(tag) {
                *expect = expect.and(&Expect::AbsentOr(vec![digest.clone()]));
            }
        }
        // Held until the tags are set, so that a delete of the manifest cannot miss them.
        let _pushing = self.in_flight.push(repository, &digest)?;
        self.inner.put_manifest(cx, repository, push).await
    }

    async fn delete_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()> {
        match reference {
            Reference::Tag(tag) if (self.immutable)(repository, tag) => {
                // One that does not exist is unknown, not immutable.
                self.inner.stat_manifest(cx, repository, reference).await?;
                Err(fixed(tag))
            }
            Reference::Tag(_) => {
                self.inner
                    .delete_manifest(cx, repository, reference, expect)
                    .await
            }
            Reference::Digest(digest) => {
                let _deleting = self.in_flight.delete(repository, digest)?;
                if let Some(tag) = self.immutable_tag_of(cx, repository, digest).await? {
                    return Err(fixed(&tag));
                }
                self.inner
                    .delete_manifest(cx, repository, reference, expect)
                    .await
            }
        }
    }

    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        self.inner.list_repositories(cx, page, visible).await
    }

    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        self.inner.list_tags(cx, repository, page).await
    }

    async fn list_referrers(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        self.inner
            .list_referrers(cx, repository, subject, page, filter)
            .await
    }
}

fn fixed(tag: &Tag) -> Error {
    Error::new(ErrorCode::PreconditionFailed, "the tag is immutable").detail(tag.as_str())
}
