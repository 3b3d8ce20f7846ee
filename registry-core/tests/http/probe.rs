//! A registry that can be watched, held up and made to panic.

use std::{
    fmt,
    sync::{Arc, Mutex, atomic::Ordering},
};

use async_trait::async_trait;
use registry_core::{
    BlobReply, Context, Descriptor, Digest, Engine, Expect, Listing, Page, Reference, Registry,
    RepositoryName, Result, Tag,
    access::Visible,
    registry::{
        Chunk, Finish, GetBlob, Manifest, ManifestPush, PushedManifest, ReferrersFilter,
        StartUpload, UploadId, UploadSession, UploadStart, UploadState,
    },
    store::{BlobStore, MetadataStore},
};
use tokio::sync::{Semaphore, mpsc};

use crate::double::Double;

/// An engine, and what happens around its verbs.
pub(crate) struct Probe {
    engine: Engine,
    /// The verb that panics.
    pub(crate) panics: Mutex<Option<&'static str>>,
    /// The verb that waits for a permit of `gate`.
    pub(crate) held: Mutex<Option<&'static str>>,
    pub(crate) gate: Semaphore,
    entered: mpsc::UnboundedSender<&'static str>,
    left: mpsc::UnboundedSender<&'static str>,
    /// The hints that came back with chunks.
    pub(crate) hints: Mutex<Vec<Option<UploadState>>>,
}

/// The verbs as they begin and end.
pub(crate) struct Verbs {
    pub(crate) entered: mpsc::UnboundedReceiver<&'static str>,
    pub(crate) left: mpsc::UnboundedReceiver<&'static str>,
}

impl Verbs {
    pub(crate) async fn entered(&mut self, verb: &str) {
        while self.entered.recv().await.unwrap() != verb {}
    }

    pub(crate) async fn left(&mut self, verb: &str) {
        while self.left.recv().await.unwrap() != verb {}
    }
}

impl Probe {
    pub(crate) fn new() -> (Arc<Self>, Verbs) {
        let store = Double::new();
        store.hints.store(true, Ordering::Relaxed);
        let blobs: Arc<dyn BlobStore> = Arc::<Double>::clone(&store);
        let metadata: Arc<dyn MetadataStore> = store;
        let (entered, entries) = mpsc::unbounded_channel();
        let (left, exits) = mpsc::unbounded_channel();
        let probe = Self {
            engine: Engine::builder().blobs(blobs).metadata(metadata).build(),
            panics: Mutex::default(),
            held: Mutex::default(),
            gate: Semaphore::new(0),
            entered,
            left,
            hints: Mutex::default(),
        };
        let verbs = Verbs {
            entered: entries,
            left: exits,
        };
        (Arc::new(probe), verbs)
    }

    async fn enter(&self, verb: &'static str) {
        // Not every test looks.
        let _ = self.entered.send(verb);
        let panics = *self.panics.lock().unwrap();
        assert_ne!(panics, Some(verb), "as the test wants it");
        let held = *self.held.lock().unwrap();
        if held == Some(verb) {
            drop(self.gate.acquire().await.unwrap());
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

#[async_trait]
impl Registry for Probe {
    async fn stat_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        self.enter("stat_blob").await;
        let result = self.engine.stat_blob(cx, repository, digest).await;
        let _ = self.left.send("stat_blob");
        result
    }

    async fn get_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        self.enter("get_blob").await;
        let result = self.engine.get_blob(cx, repository, digest, options).await;
        let _ = self.left.send("get_blob");
        result
    }

    async fn delete_blob(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        self.enter("delete_blob").await;
        let result = self.engine.delete_blob(cx, repository, digest).await;
        let _ = self.left.send("delete_blob");
        result
    }

    async fn start_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        self.enter("start_upload").await;
        let result = self.engine.start_upload(cx, repository, request).await;
        let _ = self.left.send("start_upload");
        result
    }

    async fn upload_session(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        self.enter("upload_session").await;
        let result = self.engine.upload_session(cx, repository, id, hint).await;
        let _ = self.left.send("upload_session");
        result
    }

    async fn append_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        self.enter("append_upload").await;
        self.hints.lock().unwrap().push(chunk.hint.clone());
        let result = self.engine.append_upload(cx, repository, id, chunk).await;
        let _ = self.left.send("append_upload");
        result
    }

    async fn finish_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        self.enter("finish_upload").await;
        let result = self.engine.finish_upload(cx, repository, id, finish).await;
        let _ = self.left.send("finish_upload");
        result
    }

    async fn cancel_upload(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        self.enter("cancel_upload").await;
        let result = self.engine.cancel_upload(cx, repository, id, hint).await;
        let _ = self.left.send("cancel_upload");
        result
    }

    async fn stat_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Descriptor> {
        self.enter("stat_manifest").await;
        let result = self.engine.stat_manifest(cx, repository, reference).await;
        let _ = self.left.send("stat_manifest");
        result
    }

    async fn get_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest> {
        self.enter("get_manifest").await;
        let result = self.engine.get_manifest(cx, repository, reference).await;
        let _ = self.left.send("get_manifest");
        result
    }

    async fn put_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        self.enter("put_manifest").await;
        let result = self.engine.put_manifest(cx, repository, push).await;
        let _ = self.left.send("put_manifest");
        result
    }

    async fn delete_manifest(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        expect: Expect,
    ) -> Result<()> {
        self.enter("delete_manifest").await;
        let result = self
            .engine
            .delete_manifest(cx, repository, reference, expect)
            .await;
        let _ = self.left.send("delete_manifest");
        result
    }

    async fn list_repositories(
        &self,
        cx: &Context,
        page: Page,
        visible: Visible,
    ) -> Result<Listing<RepositoryName>> {
        self.enter("list_repositories").await;
        let result = self.engine.list_repositories(cx, page, visible).await;
        let _ = self.left.send("list_repositories");
        result
    }

    async fn list_tags(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        self.enter("list_tags").await;
        let result = self.engine.list_tags(cx, repository, page).await;
        let _ = self.left.send("list_tags");
        result
    }

    async fn list_referrers(
        &self,
        cx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        self.enter("list_referrers").await;
        let result = self
            .engine
            .list_referrers(cx, repository, subject, page, filter)
            .await;
        let _ = self.left.send("list_referrers");
        result
    }
}
