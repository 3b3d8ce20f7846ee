//! Blobs and uploads in maps.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::{Stream, stream::BoxStream};
use futures_util::{StreamExt as _, stream};
use registry_core::{
    Algorithm, Blob, BlobSource, ByteRange, ByteStream, Clock, Digest, Hasher, Location,
    store::{
        BlobStore, BodyEnd, OpenUpload, StoreError, StoredBlob, UploadKey, UploadState, Written,
    },
};

#[derive(Debug)]
pub(super) struct MemoryBlobs {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    blobs: HashMap<Digest, Stored>,
    uploads: HashMap<UploadKey, Upload>,
}

#[derive(Clone, Debug)]
struct Stored {
    pieces: Arc<Pieces>,
    modified: SystemTime,
}

#[derive(Debug)]
struct Upload {
    pieces: Vec<Bytes>,
    hasher: Hasher,
    /// Advanced by every writer that takes the upload over.
    epoch: u64,
    started: SystemTime,
    modified: SystemTime,
}

impl Upload {
    fn state(&self) -> UploadState {
        UploadState::new(
            self.hasher.covered(),
            self.hasher.save(),
            self.epoch.to_be_bytes(),
        )
    }

    /// Whether `state` is the newest there is.
    fn is_at(&self, state: &UploadState) -> bool {
        self.hasher.covered() == state.length && state.private == self.epoch.to_be_bytes()
    }
}

impl MemoryBlobs {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            inner: Mutex::default(),
        }
    }

    /// Nothing panics while holding the lock, so what it guards is whole even if it is poisoned.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the caller the one writer, if `from` is the newest state.
    fn take_over(&self, key: &UploadKey, from: &UploadState) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let upload = inner.uploads.get_mut(key).ok_or_else(superseded)?;
        if !upload.is_at(from) {
            return Err(superseded());
        }
        upload.epoch += 1;
        Ok(upload.epoch)
    }

    fn append(&self, key: &UploadKey, epoch: u64, piece: Bytes) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let upload = inner.uploads.get_mut(key).ok_or_else(superseded)?;
        if upload.epoch != epoch {
            return Err(superseded());
        }
        upload.hasher.update(&piece);
        upload.pieces.push(piece);
        upload.modified = self.clock.now();
        Ok(())
    }
}

fn superseded() -> StoreError {
    StoreError::conflict("another request took this upload over, or ended it")
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self
            .lock()
            .blobs
            .get(digest)
            .map(|stored| stored.pieces.size))
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let pieces = self
            .lock()
            .blobs
            .get(digest)
            .map(|stored| Arc::clone(&stored.pieces));
        Ok(pieces.map(|pieces| Blob::new(pieces.size, Reader(pieces))))
    }

    async fn location(&self, _: &Digest, _: Duration) -> Result<Option<Location>, StoreError> {
        Ok(None)
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.lock().blobs.remove(digest).is_some())
    }

    fn list(&self) -> BoxStream<'_, Result<StoredBlob, StoreError>> {
        let blobs: Vec<_> = self
            .lock()
            .blobs
            .iter()
            .map(|(digest, stored)| {
                Ok(StoredBlob::new(
                    digest.clone(),
                    stored.pieces.size,
                    stored.modified,
                ))
            })
            .collect();
        stream::iter(blobs).boxed()
    }

    async fn begin_upload(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError> {
        let now = self.clock.now();
        let upload = Upload {
            pieces: Vec::new(),
            hasher: Hasher::new(algorithm),
            epoch: 0,
            started: now,
            modified: now,
        };
        let state = upload.state();
        self.lock().uploads.insert(key.clone(), upload);
        Ok(state)
    }

    async fn upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<Option<UploadState>, StoreError> {
        Ok(self.lock().uploads.get(key).map(Upload::state))
    }

    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        mut body: ByteStream,
    ) -> Result<Written, StoreError> {
        let epoch = self.take_over(key, &from)?;
        let end = loop {
            match body.next().await {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => self.append(key, epoch, piece)?,
                Some(Err(error)) => break BodyEnd::Cut(error),
                None => break BodyEnd::Complete,
            }
        };
        let inner = self.lock();
        let upload = inner.uploads.get(key).ok_or_else(superseded)?;
        if upload.epoch != epoch {
            return Err(superseded());
        }
        Ok(Written::new(upload.state(), end))
    }

    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError> {
        let pieces = {
            let inner = self.lock();
            let upload = inner.uploads.get(key).ok_or_else(superseded)?;
            if upload.hasher.covered() < state.length {
                return Err(superseded());
            }
            upload.pieces.clone()
        };
        let mut hasher = Hasher::new(algorithm);
        for piece in pieces {
            let left = usize::try_from(state.length - hasher.covered()).unwrap_or(usize::MAX);
            hasher.update(piece.get(..left.min(piece.len())).unwrap_or_default());
        }
        Ok(hasher.finish())
    }

    async fn commit_upload(
        &self,
        key: &UploadKey,
        state: UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        super::storable(digest)?;
        let mut inner = self.lock();
        if !inner
            .uploads
            .get(key)
            .is_some_and(|upload| upload.is_at(&state))
        {
            return Err(superseded());
        }
        let upload = inner.uploads.remove(key).ok_or_else(superseded)?;
        let pieces = Arc::new(Pieces::new(upload.pieces));
        let whole = |stored: &Stored| stored.pieces.size >= pieces.size;
        if !inner.blobs.get(digest).is_some_and(whole) {
            let modified = self.clock.now();
            inner
                .blobs
                .insert(digest.clone(), Stored { pieces, modified });
        }
        Ok(())
    }

    async fn abort_upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<(), StoreError> {
        self.lock().uploads.remove(key);
        Ok(())
    }

    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload, StoreError>> {
        let uploads: Vec<_> = self
            .lock()
            .uploads
            .iter()
            .map(|(key, upload)| {
                Ok(OpenUpload::new(
                    key.clone(),
                    upload.started,
                    upload.modified,
                ))
            })
            .collect();
        stream::iter(uploads).boxed()
    }
}

/// The bytes of a blob, in the pieces they arrived in.
#[derive(Debug)]
struct Pieces {
    pieces: Vec<Bytes>,
    /// The offset of each piece.
    starts: Vec<u64>,
    size: u64,
}

impl Pieces {
    fn new(pieces: Vec<Bytes>) -> Self {
        let mut size = 0;
        let starts = pieces
            .iter()
            .map(|piece| {
                let start = size;
                size += piece.len() as u64;
                start
            })
            .collect();
        Self {
            pieces,
            starts,
            size,
        }
    }

    /// The bytes from `at` on that lie in one piece, at most `max`.
    fn at(&self, at: u64, max: u64) -> Option<Bytes> {
        let index = self
            .starts
            .partition_point(|start| *start <= at)
            .checked_sub(1)?;
        let piece = self.pieces.get(index)?;
        let from = usize::try_from(at - self.starts.get(index)?).ok()?;
        let left = piece.len().checked_sub(from).filter(|left| *left > 0)?;
        let length = left.min(usize::try_from(max).unwrap_or(usize::MAX));
        Some(piece.slice(from..from + length))
    }
}

#[derive(Debug)]
struct Reader(Arc<Pieces>);

impl BlobSource for Reader {
    fn read(&self, range: ByteRange) -> ByteStream {
        ByteStream::new(Reading {
            pieces: Arc::clone(&self.0),
            range,
        })
    }

    fn read_now(&self, at: u64, max: usize) -> io::Result<Option<Bytes>> {
        Ok(Some(self.0.at(at, max as u64).unwrap_or_default()))
    }
}

struct Reading {
    pieces: Arc<Pieces>,
    range: ByteRange,
}

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(
            match self.pieces.at(self.range.start, self.range.len()) {
                Some(piece) => {
                    self.range.start += piece.len() as u64;
                    Ok(piece)
                }
                None => {
                    self.range.start = self.range.end;
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            },
        ))
    }
}
