//! Bodies and sources that end early, and calls that do.

use std::{fmt, io, pin::pin, sync::Arc, task::Poll};

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};

use crate::{
    content::{BlobSource, ByteStream},
    range::ByteRange,
    store::pace::give_way,
};

/// How far a body may go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// Until that many bytes, then an error.
    After(u64),
    /// To its end.
    None,
}

/// The body, as far as it may go.
pub(super) fn cut(body: ByteStream, limit: Limit) -> ByteStream {
    let Limit::After(room) = limit else {
        return body;
    };
    ByteStream::new(stream::unfold(Some((body, room)), |state| async move {
        let (mut body, room) = state?;
        let piece = if room == 0 { None } else { body.next().await };
        match piece {
            _ if room == 0 => Some((Err(gone()), None)),
            Some(Ok(mut bytes)) => {
                bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
                let room = room - bytes.len() as u64;
                Some((Ok(bytes), Some((body, room))))
            }
            Some(error) => Some((error, None)),
            None => None,
        }
    }))
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        "the body was cut on purpose",
    )
}

/// Polls a call at most that often, then drops it.
pub(super) async fn drop_after<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    for _ in 0..polls {
        if let Poll::Ready(answer) = future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await
        {
            return Some(answer);
        }
        give_way().await;
    }
    None
}

/// A source that ends early.
pub(super) struct CutSource {
    inner: Arc<dyn BlobSource>,
    limit: u64,
}

impl CutSource {
    /// A source whose reads fail at the offset `limit`.
    pub(super) fn new(inner: Arc<dyn BlobSource>, limit: u64) -> Self {
        Self { inner, limit }
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobSource for CutSource {
    fn read(&self, range: ByteRange) -> ByteStream {
        let body = self.inner.read(range);
        if range.end <= self.limit {
            return body;
        }
        cut(body, Limit::After(self.limit.saturating_sub(range.start)))
    }

    fn read_now(&self, at: u64, max: usize) -> io::Result<Option<Bytes>> {
        let end = at.saturating_add(max as u64);
        if end <= self.limit {
            self.inner.read_now(at, max)
        } else {
            Ok(None)
        }
    }

    fn file(&self) -> Option<(&std::fs::File, u64)> {
        None
    }
}

impl fmt::Debug for CutSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CutSource({:?}, at {})", self.inner, self.limit)
    }
}
