//! Bodies of answers.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{
    content::{Blob, BlobSource, ByteStream},
    range::ByteRange,
};

/// How many bytes of a blob are read at a time, and so held for one answer.
pub const READ_STEP: usize = 256 * 1024;

/// The body of an answer. Blobs are read as they are sent.
pub struct Body {
    inner: Inner,
    ended: Option<Box<Ended>>,
}

/// Tells whoever wants to know how many bytes were sent, once no more are.
struct Ended {
    sent: u64,
    tell: Option<Tell>,
}

pub(super) type Tell = Box<dyn FnOnce(u64) + Send>;

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell(self.sent);
        }
    }
}

enum Inner {
    Parts { parts: VecDeque<Part>, left: u64 },
    Foreign(Pin<Box<dyn HttpBody<Data = Bytes, Error = io::Error> + Send>>),
}

enum Part {
    Bytes(Bytes),
    Blob {
        source: Arc<dyn BlobSource>,
        at: u64,
        end: u64,
    },
    Stream {
        stream: ByteStream,
        left: u64,
    },
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::of(Inner::Parts {
            parts: VecDeque::new(),
            left: 0,
        })
    }

    fn of(inner: Inner) -> Self {
        Self { inner, ended: None }
    }

    /// A part of a blob.
    pub fn blob(blob: &Blob, range: ByteRange) -> Self {
        Self::empty().and_blob(blob, range)
    }

    pub(super) fn and_blob(mut self, blob: &Blob, range: ByteRange) -> Self {
        if let Inner::Parts { parts, left } = &mut self.inner {
            let source = Arc::clone(&blob.source);
            parts.push_back(Part::Blob {
                source,
                at: range.start,
                end: range.end,
            });
            *left += range.len();
        }
        self
    }

    pub(super) fn and_bytes(mut self, bytes: Bytes) -> Self {
        if let Inner::Parts { parts, left } = &mut self.inner {
            *left += bytes.len() as u64;
            parts.push_back(Part::Bytes(bytes));
        }
        self
    }

    /// The body of another service.
    pub fn foreign<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::of(Inner::Foreign(Box::pin(Foreign(Box::pin(body)))))
    }

    /// Tells `tell` how many bytes were taken of it, once it is dropped.
    pub(super) fn on_end(&mut self, tell: Tell) {
        let ended = Ended {
            sent: 0,
            tell: Some(tell),
        };
        self.ended = Some(Box::new(ended));
    }

    /// How many bytes it has, if that is known.
    pub fn len(&self) -> Option<u64> {
        match &self.inner {
            Inner::Parts { left, .. } => Some(*left),
            Inner::Foreign(body) => body.size_hint().exact(),
        }
    }

    /// Whether it is known to have none.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::empty().and_bytes(bytes.into())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).finish()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = ready!(self.inner.poll_frame(cx));
        if let (Some(Ok(frame)), Some(ended)) = (&frame, &mut self.ended) {
            ended.sent += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Parts { left, .. } => *left == 0,
            Inner::Foreign(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Parts { left, .. } => SizeHint::with_exact(*left),
            Inner::Foreign(body) => body.size_hint(),
        }
    }
}

impl Inner {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let (parts, left) = match self {
            Self::Foreign(body) => return body.as_mut().poll_frame(cx),
            Self::Parts { parts, left } => (parts, left),
        };
        loop {
            let Some(part) = parts.front_mut() else {
                return Poll::Ready(None);
            };
            match ready!(part.poll_next(cx)) {
                Some(Ok(bytes)) => {
                    *left = left.saturating_sub(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Err(error)) => {
                    parts.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                None => drop(parts.pop_front()),
            }
        }
    }
}

impl Part {
    /// The next bytes, never empty.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match self {
                Self::Bytes(bytes) => {
                    let bytes = std::mem::take(bytes);
                    return Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)));
                }
                Self::Blob { source, at, end } => {
                    if at >= end {
                        return Poll::Ready(None);
                    }
                    let left = usize::try_from(*end - *at).unwrap_or(READ_STEP);
                    match source.read_now(*at, left.min(READ_STEP)) {
                        Err(error) => return Poll::Ready(Some(Err(error))),
                        Ok(Some(bytes)) if !bytes.is_empty() => {
                            *at += bytes.len() as u64;
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                        // Not at hand: from here on whoever reads may wait.
                        Ok(_) => {
                            let range = ByteRange {
                                start: *at,
                                end: *end,
                            };
                            *self = Self::Stream {
                                stream: source.read(range),
                                left: range.len(),
                            };
                        }
                    }
                }
                Self::Stream { left: 0, .. } => return Poll::Ready(None),
                Self::Stream { stream, left } => {
                    match ready!(Pin::new(stream).poll_next(cx)) {
                        Some(Ok(bytes)) if bytes.is_empty() => {}
                        Some(Ok(bytes)) if bytes.len() as u64 <= *left => {
                            *left -= bytes.len() as u64;
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                        Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                        // Anything else would be sent under a length it has not.
                        Some(Ok(_)) | None => {
                            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                        }
                    }
                }
            }
        }
    }
}

struct Foreign<B>(Pin<Box<B>>);

impl<B> HttpBody for Foreign<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.as_mut().poll_frame(cx).map_err(io::Error::other)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
