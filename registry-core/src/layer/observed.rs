//! A registry that tells what happens in it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    access::{Context, Visible},
    clock::{Clock, SystemClock},
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    entropy::{Entropy, SystemEntropy},
    error::{Error, ErrorCode, Result},
    event::{Event, EventAction, EventSink},
    name::RepositoryName,
    page::{Listing, Page},
    reference::{Expect, Reference, Tag},
    registry::{
        Chunk, Finish, GetBlob, Manifest, ManifestPush, PushedManifest, ReferrersFilter, Registry,
        StartUpload, UploadId, UploadSession, UploadStart, UploadState,
    },
};

use super::owed::Owed;

/// Publishes an event for each thing that happens, and waits for its [`EventSink`] before it answers.
///
/// | event | of |
/// |---|---|
/// | push | an upload that became a blob; a manifest, with the tags that were set |
/// | mount | a blob that was mounted, with where it came from |
/// | pull | a blob or manifest that was read, or whose reader was redirected; asking for the description of one (HEAD) is none |
/// | delete | a blob, a manifest, a tag; the size and type of what was deleted are not known, and given as 0 and `application/octet-stream` |
/// | denied | any verb that was not permitted by what is inside |
///
/// When the sink does not take an event the answer is `Unavailable` although the write stands. Doing
/// the same again publishes the event again. That holds for deletes too: the event of one is kept
/// until it is published, and the retry, which finds nothing any more, is answered like the first.
///
/// ```
/// use std::sync::Arc;
///
/// use registry_core::{Registry, event::EventSink, layer::Observed};
///
/// fn watched(registry: impl Registry, sink: Arc<dyn EventSink>) -> impl Registry {
///     Observed::new(registry, sink)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Observed<R> {
    inner: R,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    owed: Arc<Owed>,
}

impl<R: Registry> Observed<R> {
    /// `inner`, with `sink` being told.
    pub fn new(inner: R, sink: Arc<dyn EventSink>) -> Self {
        Self {
            inner,
            sink,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            owed: Arc::default(),
        }
    }

    /// Where the time of an event comes from. Default: the system's clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Where the identifiers of events come from. Default: the system's randomness.
    #[must_use]
    pub fn entropy(self, entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, ..self }
    }

    fn event(&self, cx: &Context, action: EventAction, repository: &RepositoryName) -> Event {
        let id = self.entropy.random_hex();
        Event::new(id, self.clock.now(), action, cx).repository(repository.clone())
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let published = self.sink.publish(&event).await;
        published.map_err(|error| {
            let message = "it is done, but could not be recorded; please try again";
            Error::new(ErrorCode::Unavailable, message).caused_by(error)
        })
    }

    /// Publishes the refusal, if the answer is one.
    async fn noting_denial<T>(
        &self,
        cx: &Context,
        repository: Option<&RepositoryName>,
        answer: Result<T>,
    ) -> Result<T> {
        if matches!(&answer, Err(error) if error.code() == ErrorCode::Denied) {
            let id = self.entropy.random_hex();
            let mut event = Event::new(id, self.clock.now(), EventAction::Denied, cx);
            event.repository = repository.cloned();
            let published = self.sink.publish(&event).await;
            published.map_err(|error| {
                let message = "the refusal could not be recorded";
                Error::new(ErrorCode::Unavailable, message).caused_by(error)
            })?;
        }
        answer
    }

    /// Publishes a delete: one that was just done, or one whose event is still owed.
    async fn deleted(&self, cx: &Context, event: Event, answer: Result<()>) -> Result<()> {
        let event = match &answer {
            Ok(()) => event,
            Err(error) => {
                let gone = [
                    ErrorCode::BlobUnknown,
                    ErrorCode::ManifestUnknown,
                    ErrorCode::NameUnknown,
                ];
                let owed = gone.contains(&error.code()).then(|| self.owed.take(&event));
                match owed.flatten() {
                    Some(owed) => owed,
                    None => {
                        return self
                            .noting_denial(cx, event.repository.as_ref(), answer)
                            .await;
                    }
                }
            }
        };
        // Owed from before the sink is asked, so that dropping the future loses nothing.
        self.owed.add(event.clone());
        self.publish(event.clone()).await?;
        self.owed.take(&event);
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Registry> Registry for Observed<R> {
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let answer = self.inner.stat_blob(cx, repository, digest).await;
        self.noting_denial(cx, Some(repository), answer).await
    }

    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        let answer = self.inner.get_blob(cx, repository, digest, options).await;
        let reply = self.noting_denial(cx, Some(repository), answer).await?;
        let target = match &reply {
            BlobReply::Blob(blob) => Descriptor::blob(digest.clone(), blob.size),
            BlobReply::Redirect(_) => self.inner.stat_blob(cx, repository, digest).await?,
        };
        let event = self.event(cx, EventAction::Pull, repository);
        self.publish(event.target(target)).await?;
        Ok(reply)
    }

    async fn delete_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        let event = self.event(cx, EventAction::Delete, repository);
        let event = event.target(Descriptor::blob(digest.clone(), 0));
        let answer = self.inner.delete_blob(cx, repository, digest).await;
        self.deleted(cx, event, answer).await
    }

    async fn start_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        let answer = self.inner.start_upload(cx, repository, request).await;
        let started = self.noting_denial(cx, Some(repository), answer).await?;
        if let UploadStart::Mounted { descriptor, from } = &started {
            let event = self.event(cx, EventAction::Mount, repository);
            let event = event.target(descriptor.clone()).from(from.clone());
            self.publish(event).await?;
        }
        Ok(started)
    }

    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        let answer = self.inner.upload_session(cx, repository, id, hint).await;
        self.noting_denial(cx, Some(repository), answer).await
    }

    async fn append_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        let answer = self.inner.append_upload(cx, repository, id, chunk).await;
        self.noting_denial(cx, Some(repository), answer).await
    }

    async fn finish_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        let answer = self.inner.finish_upload(cx, repository, id, finish).await;
        let descriptor = self.noting_denial(cx, Some(repository), answer).await?;
        let event = self.event(cx, EventAction::Push, repository);
        self.publish(event.target(descriptor.clone())).await?;
        Ok(descriptor)
    }

    async fn cancel_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        let answer = self.inner.cancel_upload(cx, repository, id, hint).await;
        self.noting_denial(cx, Some(repository), answer).await
    }

    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        let answer = self.inner.stat_manifest(cx, repository, reference).await;
        self.noting_denial(cx, Some(repository), answer).await
    }

    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        let answer = self.inner.get_manifest(cx, repository, reference).await;
        let manifest = self.noting_denial(cx, Some(repository), answer).await?;
        let event = self.event(cx, EventAction::Pull, repository);
        let event = match reference {
            Reference::Digest(_) => event,
            Reference::Tag(tag) => event.tags([tag.clone()]),
        };
        self.publish(event.target(manifest.descriptor.clone()))
            .await?;
        Ok(manifest)
    }

    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        let answer = self.inner.put_manifest(cx, repository, push).await;
        let pushed = self.noting_denial(cx, Some(repository), answer).await?;
        let event = self.event(cx, EventAction::Push, repository);
        let event = event.target(pushed.descriptor.clone());
        self.publish(event.tags(pushed.tags.clone())).await?;
        Ok(pushed)
    }

    async fn delete_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()> {
        let event = self.event(cx, EventAction::Delete, repository);
        let event = match reference {
            Reference::Digest(digest) => event.target(Descriptor::blob(digest.clone(), 0)),
            Reference::Tag(tag) => event.tags([tag.clone()]),
        };
        let answer = self
            .inner
            .delete_manifest(cx, repository, reference, expect)
            .await;
        self.deleted(cx, event, answer).await
    }

    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        let answer = self.inner.list_repositories(cx, page, visible).await;
        self.noting_denial(cx, None, answer).await
    }

    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        let answer = self.inner.list_tags(cx, repository, page).await;
        self.noting_denial(cx, Some(repository), answer).await
    }

    async fn list_referrers(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        let answer = self
            .inner
            .list_referrers(cx, repository, subject, page, filter)
            .await;
        self.noting_denial(cx, Some(repository), answer).await
    }
}
