//! The blob half on disk.

use std::{
    fs::{self, File},
    future::poll_fn,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use registry_core::{
    Algorithm, Blob, ByteStream, Clock, Digest, Location,
    store::{
        BlobStore, BodyEnd, OpenUpload, StoreError, StoreErrorKind, StoredBlob, UploadKey,
        UploadState, Written,
    },
};

use super::{
    blocking, failed, listable,
    publish::Publisher,
    read::Source,
    small::is_absence,
    uploads::{Uploads, Writer},
    walk,
};
use crate::layout::Layout;

/// How many bytes all uploads together collect while those before them are hashed and written, so
/// that they hold twice as many. Few uploads have large batches, which cost fewer changes of thread;
/// many have small ones.
const COLLECTED: usize = 4 * 1024 * 1024;

/// How many bytes one upload collects at most.
const LARGEST_BATCH: usize = 1024 * 1024;

/// How many bytes one upload may always collect.
const SMALLEST_BATCH: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct FsBlobs {
    layout: Arc<Layout>,
    publisher: Arc<Publisher>,
    uploads: Arc<Uploads>,
    /// How many uploads are being written.
    writing: AtomicUsize,
}

impl FsBlobs {
    pub(super) fn new(
        layout: Arc<Layout>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let uploads = Arc::new(Uploads::new(
            Arc::clone(&layout),
            Arc::clone(&publisher),
            clock,
        ));
        Self {
            layout,
            publisher,
            uploads,
            writing: AtomicUsize::new(0),
        }
    }

    /// Runs work on the uploads on the blocking pool.
    async fn with_uploads<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Uploads>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let uploads = Arc::clone(&self.uploads);
        blocking(move || work(&uploads)).await
    }

    /// Writes a batch; the writer comes back also when it failed.
    fn batch(&self, mut writer: Writer, batch: Vec<Bytes>) -> Writing {
        let uploads = Arc::clone(&self.uploads);
        tokio::task::spawn_blocking(move || {
            let result = uploads.write(&mut writer, &batch);
            if result.is_ok() {
                uploads.write_back(&mut writer);
            }
            (writer, result)
        })
    }
}

type Writing = tokio::task::JoinHandle<(Writer, Result<(), StoreError>)>;

/// Bytes that arrived and are not written yet.
struct Collected<'a> {
    pieces: Vec<Bytes>,
    bytes: usize,
    end: Option<BodyEnd>,
    /// How many uploads collect, this one among them.
    collecting: &'a AtomicUsize,
}

impl<'a> Collected<'a> {
    fn new(collecting: &'a AtomicUsize) -> Self {
        collecting.fetch_add(1, Ordering::Relaxed);
        Self {
            pieces: Vec::new(),
            bytes: 0,
            end: None,
            collecting,
        }
    }

    /// Takes what `body` has, to a bound, while `writing` goes on. Ready once that is done and there
    /// is something to write next, or the body has ended: a body that comes slowly is written as it
    /// comes, one that comes fast in as large pieces as it fills meanwhile.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut ByteStream,
        writing: Option<&mut Writing>,
    ) -> Poll<Option<<Writing as Future>::Output>> {
        let share = COLLECTED / self.collecting.load(Ordering::Relaxed).max(1);
        let batch = share.clamp(SMALLEST_BATCH, LARGEST_BATCH);
        while self.end.is_none() && self.bytes < batch {
            match body.poll_next_unpin(cx) {
                Poll::Ready(None) => self.end = Some(BodyEnd::Complete),
                Poll::Ready(Some(Err(error))) => self.end = Some(BodyEnd::Cut(error)),
                Poll::Ready(Some(Ok(piece))) => {
                    self.bytes += piece.len();
                    self.pieces.push(piece);
                }
                Poll::Pending => break,
            }
        }
        let ready = self.end.is_some() || self.bytes > 0;
        match writing {
            None if ready => Poll::Ready(None),
            None => Poll::Pending,
            // Polled only when what comes of it can be given back.
            Some(writing) if ready => writing.poll_unpin(cx).map(Some),
            Some(_) => Poll::Pending,
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }
}

impl Drop for Collected<'_> {
    fn drop(&mut self) {
        self.collecting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl BlobStore for FsBlobs {
    async fn check(&self) -> Result<(), StoreError> {
        listable(self.layout.root(), self.layout.blobs()).await
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        if digest.content_algorithm().is_none() {
            return Ok(None);
        }
        let path = self.layout.blob(digest);
        blocking(move || match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(failed("a blob cannot be looked up")(error)),
        })
        .await
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        if digest.content_algorithm().is_none() {
            return Ok(None);
        }
        let path = self.layout.blob(digest);
        blocking(move || {
            let open = || -> io::Result<Option<Blob>> {
                let file = match File::open(path) {
                    Err(error) if is_absence(&error) => return Ok(None),
                    result => result?,
                };
                let metadata = file.metadata()?;
                let blob = || Blob::new(metadata.len(), Source(Arc::new(file)));
                Ok(metadata.is_file().then(blob))
            };
            open().map_err(failed("a blob cannot be opened"))
        })
        .await
    }

    async fn location(&self, _: &Digest, _: Duration) -> Result<Option<Location>, StoreError> {
        Ok(None)
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        if digest.content_algorithm().is_none() {
            return Ok(false);
        }
        let path = self.layout.blob(digest);
        let publisher = Arc::clone(&self.publisher);
        blocking(move || {
            let delete = || -> io::Result<bool> {
                match publisher.disk.remove_file(&path) {
                    Err(error) if is_absence(&error) => return Ok(false),
                    result => result?,
                }
                if let Some(directory) = path.parent() {
                    publisher.disk.sync_directory(directory)?;
                }
                Ok(true)
            };
            delete().map_err(failed("a blob cannot be deleted"))
        })
        .await
    }

    fn list(&self) -> BoxStream<'_, Result<StoredBlob, StoreError>> {
        let layout = Arc::clone(&self.layout);
        let walk = async move { blocking(move || walk::blobs(&layout)).await };
        walk.into_stream()
            .map_ok(|found| stream::iter(found).map(Ok))
            .try_flatten()
            .boxed()
    }

    async fn begin_upload(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError> {
        let key = key.clone();
        self.with_uploads(move |uploads| uploads.begin(&key, algorithm))
            .await
    }

    async fn upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<Option<UploadState>, StoreError> {
        let key = key.clone();
        self.with_uploads(move |uploads| uploads.state(&key)).await
    }

    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        mut body: ByteStream,
    ) -> Result<Written, StoreError> {
        let key = key.clone();
        let mut writer = self
            .with_uploads(move |uploads| uploads.take_over(&key, &from))
            .await?;
        let mut collected = Collected::new(&self.writing);
        poll_fn(|cx| collected.poll_fill(cx, &mut body, None)).await;
        let end = loop {
            let batch = collected.take();
            if batch.is_empty()
                && let Some(end) = collected.end.take()
            {
                break end;
            }
            let mut writing = self.batch(writer, batch);
            let written = poll_fn(|cx| collected.poll_fill(cx, &mut body, Some(&mut writing)));
            let lost = || StoreError::new(StoreErrorKind::Other, "a write was lost");
            let written = written.await.ok_or_else(lost)?;
            let (back, result) = written.map_err(|error| lost().caused_by(error))?;
            result?;
            writer = back;
        };
        let cut = matches!(end, BodyEnd::Cut(_));
        let state = self
            .with_uploads(move |uploads| Ok(uploads.leave(&writer, cut)))
            .await?;
        Ok(Written::new(state, end))
    }

    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError> {
        let (key, state) = (key.clone(), state.clone());
        self.with_uploads(move |uploads| uploads.digest(&key, &state, algorithm))
            .await
    }

    async fn commit_upload(
        &self,
        key: &UploadKey,
        state: UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let (key, digest) = (key.clone(), digest.clone());
        self.with_uploads(move |uploads| uploads.commit(&key, &state, &digest))
            .await
    }

    async fn abort_upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<(), StoreError> {
        let key = key.clone();
        self.with_uploads(move |uploads| uploads.abort(&key)).await
    }

    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload, StoreError>> {
        let layout = Arc::clone(&self.layout);
        let walk = async move { blocking(move || walk::uploads(&layout)).await };
        walk.into_stream()
            .map_ok(|found| stream::iter(found).map(Ok))
            .try_flatten()
            .boxed()
    }
}
