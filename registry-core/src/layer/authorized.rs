//! A registry that asks an [`Authorizer`] before each verb.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    access::{Access, Action, AuthError, Authorizer, Context, Decision, Resource, Visible},
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Reference, Tag},
    registry::{
        Chunk, Finish, GetBlob, Manifest, ManifestPush, PushedManifest, ReferrersFilter, Registry,
        StartUpload, UploadId, UploadSession, UploadStart, UploadState,
    },
};

/// Lets through what its [`Authorizer`] permits.
///
/// | verbs | need, in the repository |
/// |---|---|
/// | reading blobs, manifests, tags, referrers | pull |
/// | uploads, from the first to cancelling; pushing manifests and tags; the target of a mount | push |
/// | deleting blobs, manifests, tags | delete |
/// | listing repositories | pull on the catalog; those that may be pulled are listed |
///
/// The source of a mount needs pull: where it is not permitted the mount becomes an upload, as for a
/// source that does not have the blob. What is not permitted is answered with `Denied`, naming what
/// a client should ask for; where nobody can decide, with `Unavailable`.
///
/// ```
/// use std::sync::Arc;
///
/// use registry_core::{Registry, access::Authorizer, layer::Authorized};
///
/// fn guarded(registry: impl Registry, authorizer: Arc<dyn Authorizer>) -> impl Registry {
///     Authorized::new(registry, authorizer)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Authorized<R> {
    inner: R,
    authorizer: Arc<dyn Authorizer>,
}

impl<R: Registry> Authorized<R> {
    /// `inner`, as far as `authorizer` permits.
    pub fn new(inner: R, authorizer: Arc<dyn Authorizer>) -> Self {
        Self { inner, authorizer }
    }

    async fn require(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        action: Action,
    ) -> Result<()> {
        let resource = Resource::Repository(repository.clone());
        let decision = self.decide(cx, &resource).await?;
        if decision.granted.contains(action) {
            return Ok(());
        }
        // Clients that push read too: like Distribution, ask for both at once.
        let wanted = match action {
            Action::Push => vec![Action::Pull, Action::Push],
            action => vec![action],
        };
        Err(denied(Access::new(resource, wanted), decision))
    }

    async fn decide(&self, cx: &Context, resource: &Resource) -> Result<Decision> {
        match self.authorizer.permitted(cx, resource).await {
            Ok(decision) => Ok(decision),
            Err(AuthError::Rejected(reason)) => Ok(Decision::default().because(reason)),
            Err(error) => Err(undecided(error)),
        }
    }

    async fn visible(&self, cx: &Context) -> Result<Visible> {
        match self.authorizer.visible(cx).await {
            Ok(visible) => Ok(visible),
            Err(AuthError::Rejected(_)) => Ok(Visible::none()),
            Err(error) => Err(undecided(error)),
        }
    }

    /// The request, with what it may mount from. Only a mount is worth asking about.
    async fn mountable(&self, cx: &Context, mut request: StartUpload) -> Result<StartUpload> {
        let Some(mount) = &request.mount else {
            return Ok(request);
        };
        if let Some(from) = &mount.from {
            let source = Resource::Repository(from.clone());
            let decision = self.decide(cx, &source).await?;
            if !decision.granted.contains(Action::Pull) {
                request.mount = None;
                return Ok(request);
            }
        }
        request.visible = request.visible.and(self.visible(cx).await?);
        Ok(request)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Registry> Registry for Authorized<R> {
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        self.require(cx, repository, Action::Pull).await?;
        self.inner.stat_blob(cx, repository, digest).await
    }

    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        self.require(cx, repository, Action::Pull).await?;
        self.inner.get_blob(cx, repository, digest, options).await
    }

    async fn delete_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        self.require(cx, repository, Action::Delete).await?;
        self.inner.delete_blob(cx, repository, digest).await
    }

    async fn start_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        self.require(cx, repository, Action::Push).await?;
        let request = self.mountable(cx, request).await?;
        self.inner.start_upload(cx, repository, request).await
    }

    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        self.require(cx, repository, Action::Push).await?;
        self.inner.upload_session(cx, repository, id, hint).await
    }

    async fn append_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        self.require(cx, repository, Action::Push).await?;
        self.inner.append_upload(cx, repository, id, chunk).await
    }

    async fn finish_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        self.require(cx, repository, Action::Push).await?;
        self.inner.finish_upload(cx, repository, id, finish).await
    }

    async fn cancel_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        self.require(cx, repository, Action::Push).await?;
        self.inner.cancel_upload(cx, repository, id, hint).await
    }

    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        self.require(cx, repository, Action::Pull).await?;
        self.inner.stat_manifest(cx, repository, reference).await
    }

    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        self.require(cx, repository, Action::Pull).await?;
        self.inner.get_manifest(cx, repository, reference).await
    }

    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        self.require(cx, repository, Action::Push).await?;
        self.inner.put_manifest(cx, repository, push).await
    }

    async fn delete_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()> {
        self.require(cx, repository, Action::Delete).await?;
        self.inner
            .delete_manifest(cx, repository, reference, expect)
            .await
    }

    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        let decision = self.decide(cx, &Resource::Catalog).await?;
        if !decision.granted.contains(Action::Pull) {
            return Err(denied(
                Access::new(Resource::Catalog, [Action::Pull]),
                decision,
            ));
        }
        let visible = visible.and(self.visible(cx).await?);
        self.inner.list_repositories(cx, page, visible).await
    }

    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        self.require(cx, repository, Action::Pull).await?;
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
        self.require(cx, repository, Action::Pull).await?;
        self.inner
            .list_referrers(cx, repository, subject, page, filter)
            .await
    }
}

fn denied(wanted: Access, decision: Decision) -> Error {
    match decision.reason {
        Some(reason) => Error::denied(wanted, reason),
        None => Error::denied(wanted, "you may not do that here"),
    }
}

fn undecided(error: AuthError) -> Error {
    let message = "whether you may do that cannot be decided now";
    Error::new(ErrorCode::Unavailable, message).caused_by(error)
}
