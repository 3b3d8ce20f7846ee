//! A registry that is a part of another one.

use async_trait::async_trait;

use crate::{
    access::{Context, Visible},
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Reference, Tag},
    registry::{
        Chunk, Finish, GetBlob, Manifest, ManifestPush, Mount, PushedManifest, ReferrersFilter,
        Registry, StartUpload, UploadId, UploadSession, UploadStart, UploadState,
    },
};

/// The repositories of a registry under a prefix, without it: `app` here is `team/app` inside.
///
/// Nothing outside of the prefix can be read, written, listed or mounted. Names that the prefix
/// makes too long are `NameInvalid`. Layers inside see the names with the prefix, also in what they
/// say of access that is wanted.
///
/// ```
/// use registry_core::{Context, Page, Registry, RepositoryName, access::Visible, layer::Scoped};
///
/// async fn of_team(registry: impl Registry) -> registry_core::Result<Vec<RepositoryName>> {
///     let team = Scoped::new(registry, RepositoryName::parse("team")?);
///     let (cx, page) = (Context::anonymous(), Page::first(100));
///     Ok(team.list_repositories(&cx, page, Visible::All).await?.items)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Scoped<R> {
    inner: R,
    prefix: RepositoryName,
}

impl<R: Registry> Scoped<R> {
    /// What `inner` has under `prefix` and a slash.
    pub fn new(inner: R, prefix: RepositoryName) -> Self {
        Self { inner, prefix }
    }

    fn inside(&self, name: &RepositoryName) -> Result<RepositoryName> {
        Ok(RepositoryName::parse(&format!("{}/{name}", self.prefix))?)
    }

    fn outside(&self, name: &RepositoryName) -> Result<RepositoryName> {
        strip(&self.prefix, name).ok_or_else(|| {
            let message = "the registry inside answered with a repository of somebody else";
            Error::new(ErrorCode::Unknown, message)
        })
    }

    /// The set inside that a set outside stands for. It never reaches beyond the prefix. Prefixes
    /// stay prefixes, so that a store can still look at those alone.
    fn inner_visible(&self, visible: Visible) -> Visible {
        let prefix = self.prefix.clone();
        match visible {
            Visible::All => Visible::prefixes([format!("{prefix}/")]),
            Visible::Prefixes(prefixes) => {
                Visible::prefixes(prefixes.iter().map(|outside| format!("{prefix}/{outside}")))
            }
            Visible::Filter(allow) => {
                Visible::filter(move |name| strip(&prefix, name).is_some_and(|name| allow(&name)))
            }
        }
    }

    fn scoped(&self, mut request: StartUpload) -> StartUpload {
        request.visible = self.inner_visible(request.visible);
        request.mount = request.mount.and_then(|mount| {
            // A source whose name cannot be had inside is one that does not have the blob.
            let from = mount.from.map(|from| self.inside(&from)).transpose();
            Some(Mount::new(mount.digest, from.ok()?))
        });
        request
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Registry> Registry for Scoped<R> {
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let inside = self.inside(repository)?;
        self.inner.stat_blob(cx, &inside, digest).await
    }

    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        let inside = self.inside(repository)?;
        self.inner.get_blob(cx, &inside, digest, options).await
    }

    async fn delete_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        let inside = self.inside(repository)?;
        self.inner.delete_blob(cx, &inside, digest).await
    }

    async fn start_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        let inside = self.inside(repository)?;
        let request = self.scoped(request);
        let started = self.inner.start_upload(cx, &inside, request).await?;
        Ok(match started {
            UploadStart::Mounted { descriptor, from } => UploadStart::Mounted {
                descriptor,
                from: self.outside(&from)?,
            },
            UploadStart::Started(session) => UploadStart::Started(session),
        })
    }

    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        let inside = self.inside(repository)?;
        self.inner.upload_session(cx, &inside, id, hint).await
    }

    async fn append_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        let inside = self.inside(repository)?;
        self.inner.append_upload(cx, &inside, id, chunk).await
    }

    async fn finish_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        let inside = self.inside(repository)?;
        self.inner.finish_upload(cx, &inside, id, finish).await
    }

    async fn cancel_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        let inside = self.inside(repository)?;
        self.inner.cancel_upload(cx, &inside, id, hint).await
    }

    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        let inside = self.inside(repository)?;
        self.inner.stat_manifest(cx, &inside, reference).await
    }

    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        let inside = self.inside(repository)?;
        self.inner.get_manifest(cx, &inside, reference).await
    }

    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        let inside = self.inside(repository)?;
        self.inner.put_manifest(cx, &inside, push).await
    }

    async fn delete_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()> {
        let inside = self.inside(repository)?;
        self.inner
            .delete_manifest(cx, &inside, reference, expect)
            .await
    }

    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        let page = Page {
            after: Some(format!(
                "{}/{}",
                self.prefix,
                page.after.unwrap_or_default()
            )),
            ..page
        };
        let visible = self.inner_visible(visible);
        let listing = self.inner.list_repositories(cx, page, visible).await?;
        let items = listing.items.iter().map(|name| self.outside(name));
        Ok(Listing::new(items.collect::<Result<_>>()?, listing.more))
    }

    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        let inside = self.inside(repository)?;
        self.inner.list_tags(cx, &inside, page).await
    }

    async fn list_referrers(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        let inside = self.inside(repository)?;
        self.inner
            .list_referrers(cx, &inside, subject, page, filter)
            .await
    }
}

fn strip(prefix: &RepositoryName, name: &RepositoryName) -> Option<RepositoryName> {
    let name = name.as_str().strip_prefix(prefix.as_str())?;
    RepositoryName::parse(name.strip_prefix('/')?).ok()
}
