//! Content: the bytes of blobs as they pass through.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;

use crate::{location::Location, range::ByteRange};

/// Bytes that arrive piece by piece. An error ends them.
///
/// Pieces have any size; an empty one means nothing. Nobody may poll after the end or an error.
pub struct ByteStream(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>);

impl ByteStream {
    /// A stream of the pieces of `stream`.
    pub fn new(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// A stream of nothing.
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }
}

impl From<Bytes> for ByteStream {
    fn from(bytes: Bytes) -> Self {
        Self::new(Once(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }
}

impl Stream for ByteStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream")
    }
}

struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// Where a blob's bytes come from.
///
/// Ranges are taken after opening, so that an answer of several parts opens once. What was opened
/// stays readable when the blob is deleted meanwhile. The fast paths live with the store that can
/// take them.
pub trait BlobSource: fmt::Debug + Send + Sync {
    /// The bytes of `range`, which lies inside the blob. A source that runs out before the end of
    /// the range ends with an error.
    fn read(&self, range: ByteRange) -> ByteStream;

    /// At most `max` bytes from offset `at` on, if they are at hand without waiting: in memory, in
    /// the page cache. `None` means: use [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// Whatever reading meets.
    fn read_now(&self, at: u64, max: usize) -> io::Result<Option<Bytes>> {
        let _ = (at, max);
        Ok(None)
    }

    /// The file that holds the bytes, and the offset of the first, for whoever can use `sendfile`.
    fn file(&self) -> Option<(&std::fs::File, u64)> {
        None
    }
}

impl BlobSource for Bytes {
    fn read(&self, range: ByteRange) -> ByteStream {
        match slice(self, range.start, range.len()) {
            Some(bytes) => bytes.into(),
            None => ByteStream::new(Failed(Some(io::ErrorKind::UnexpectedEof.into()))),
        }
    }

    fn read_now(&self, at: u64, max: usize) -> io::Result<Option<Bytes>> {
        let left = (self.len() as u64).saturating_sub(at);
        Ok(slice(self, at, left.min(max as u64)))
    }
}

fn slice(bytes: &Bytes, start: u64, length: u64) -> Option<Bytes> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then(|| bytes.slice(start..end))
}

struct Failed(Option<io::Error>);

impl Stream for Failed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

/// A blob, opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Blob {
    /// How many bytes it has.
    pub size: u64,
    /// Where they come from.
    pub source: Arc<dyn BlobSource>,
}

impl Blob {
    /// A blob of that size, read from `source`.
    pub fn new(size: u64, source: impl BlobSource + 'static) -> Self {
        Self {
            size,
            source: Arc::new(source),
        }
    }
}

/// The answer to a request for a blob.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a third answer must break whoever renders them"
)]
pub enum BlobReply {
    /// The blob itself.
    Blob(Blob),
    /// Fetch it there.
    Redirect(Location),
}
