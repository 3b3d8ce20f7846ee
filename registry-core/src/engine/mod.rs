//! The engine: the rules of the specification over the two stores.
//!
//! It verifies, links, orders and limits; what is stored where is the stores' business. What is
//! written is written in one order everywhere: bytes, then links, then the manifest with its place
//! among the referrers, then tags. Whoever stops in between leaves garbage, never a promise.
//!
//! Reading does the least that it can: a blob costs one look at its link and one at its bytes, and
//! nothing that reads writes.

mod blobs;
mod builder;
mod capped;
mod fallback;
mod limits;
mod lists;
mod manifests;
mod policy;
mod references;
mod sessions;
mod sightings;
mod uploads;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::{
    builder::{EngineBuilder, Missing},
    limits::Limits,
    policy::{ManifestPolicy, ReferencePolicy, UrlPolicy},
};
use self::{sessions::Sessions, sightings::Sightings};
use crate::{
    access::{Context, Visible},
    clock::Clock,
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    entropy::Entropy,
    error::Result,
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Reference, Tag},
    registry::{
        Chunk, Finish, GetBlob, Manifest, ManifestPush, PushedManifest, Registry, StartUpload,
        UploadSession, UploadStart,
    },
    store::{BlobStore, MetadataStore, ReferrersFilter, StoreError, UploadId, UploadState},
};

/// A [`Registry`] over a [`BlobStore`] and a [`MetadataStore`].
///
/// Cloning is cheap, and the clones are one engine. It holds no state that must outlive it: several
/// engines, in several processes, may work on the same stores.
///
/// ```
/// use std::sync::Arc;
///
/// use registry_core::{
///     Context, Engine, Registry, RepositoryName,
///     registry::ManifestPush,
///     store::{BlobStore, MetadataStore},
/// };
///
/// async fn empty_index(
///     blobs: Arc<dyn BlobStore>,
///     metadata: Arc<dyn MetadataStore>,
/// ) -> registry_core::Result<()> {
///     let engine = Engine::builder().blobs(blobs).metadata(metadata).build();
///     let repository = RepositoryName::parse("library/nothing")?;
///     let push = ManifestPush::new(&br#"{"schemaVersion": 2, "manifests": []}"#[..]);
///     engine.put_manifest(&Context::anonymous(), &repository, push).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// What all clones of an engine share.
pub(crate) struct Inner {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sessions: Sessions,
    metadata: Arc<dyn MetadataStore>,
    entropy: Arc<dyn Entropy>,
    deletes: bool,
    limits: Limits,
    references: ReferencePolicy,
    redirects: Option<Duration>,
    urls: UrlPolicy,
    manifests: ManifestPolicy,
    sightings: Sightings,
}

impl Engine {
    /// Begins to put an engine together.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    /// Whether both stores answer: for health checks. It looks at neither repositories nor limits.
    ///
    /// # Errors
    ///
    /// What the store that does not answer says.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.0.blobs.check().await?;
        self.0.metadata.check().await
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("blobs", &self.0.blobs)
            .field("metadata", &self.0.metadata)
            .field("deletes", &self.0.deletes)
            .field("limits", &self.0.limits)
            .field("references", &self.0.references)
            .field("redirects", &self.0.redirects)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Registry for Engine {
    async fn stat_blob(
        &self,
        _: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        self.0.stat_blob(repository, digest).await
    }

    async fn get_blob(
        &self,
        _: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        self.0.read_blob(repository, digest, options).await
    }

    async fn delete_blob(
        &self,
        _: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        self.0.delete_blob(repository, digest).await
    }

    async fn start_upload(
        &self,
        _: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        self.0.start_upload(repository, request).await
    }

    async fn upload_session(
        &self,
        _: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        self.0.upload_session(repository, id, hint).await
    }

    async fn append_upload(
        &self,
        _: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        self.0.append_upload(repository, id, chunk).await
    }

    async fn finish_upload(
        &self,
        _: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        self.0.finish_upload(repository, id, finish).await
    }

    async fn cancel_upload(
        &self,
        _: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        self.0.cancel_upload(repository, id, hint).await
    }

    async fn stat_manifest(
        &self,
        _: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        let manifest = self.0.read_manifest(repository, reference).await?;
        Ok(manifest.descriptor)
    }

    async fn get_manifest(
        &self,
        _: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        self.0.read_manifest(repository, reference).await
    }

    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        self.0.put_manifest(cx, repository, push).await
    }

    async fn delete_manifest(
        &self,
        _: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()> {
        self.0.delete_manifest(repository, reference, &expect).await
    }

    async fn list_repositories(
        &self,
        _: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        self.0.list_repositories(page, &visible).await
    }

    async fn list_tags(
        &self,
        _: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        self.0.list_tags(repository, page).await
    }

    async fn list_referrers(
        &self,
        _: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        self.0
            .list_referrers(repository, subject, page, filter)
            .await
    }
}
