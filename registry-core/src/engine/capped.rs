//! A body that is read up to a bound and not a byte further.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;

use crate::content::ByteStream;

/// The first bytes of a body. That there were more is noted in its [`Excess`].
pub(super) struct Capped {
    body: ByteStream,
    left: Option<u64>,
    excess: Excess,
}

/// Whether a body had more bytes than it was read for.
#[derive(Clone, Default)]
pub(super) struct Excess(Arc<AtomicBool>);

impl Excess {
    pub(super) fn found(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Capped {
    /// At most `limit` bytes of `body`; `None` is no limit.
    pub(super) fn new(body: ByteStream, limit: Option<u64>) -> (Self, Excess) {
        let excess = Excess::default();
        let capped = Self {
            body,
            left: limit,
            excess: excess.clone(),
        };
        (capped, excess)
    }
}

impl Stream for Capped {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.excess.found() {
            return Poll::Ready(None);
        }
        loop {
            let mut piece = match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(piece)) => piece,
                end => return Poll::Ready(end),
            };
            if piece.is_empty() {
                continue;
            }
            if let Some(left) = self.left {
                let length = piece.len() as u64;
                if length > left {
                    self.excess.0.store(true, Ordering::Release);
                    piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                }
                self.left = Some(left.saturating_sub(length));
            }
            let nothing_left = piece.is_empty();
            return Poll::Ready((!nothing_left).then_some(Ok(piece)));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt, stream};

    use super::*;

    fn read(pieces: &[&'static str], limit: Option<u64>) -> (String, bool) {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        let (capped, excess) = Capped::new(ByteStream::new(stream::iter(pieces)), limit);
        let read: Vec<_> = capped.collect().now_or_never().expect("nothing waits");
        let bytes: Vec<u8> = read.into_iter().flatten().flatten().collect();
        (String::from_utf8(bytes).unwrap(), excess.found())
    }

    #[test]
    fn stops_at_the_bound_and_says_so() {
        let table = [
            (None, "abcdef", false),
            (Some(7), "abcdef", false),
            (Some(6), "abcdef", false),
            (Some(5), "abcde", true),
            (Some(3), "abc", true),
            (Some(0), "", true),
        ];
        for (limit, text, excess) in table {
            assert_eq!(
                read(&["abc", "", "def"], limit),
                (text.to_owned(), excess),
                "{limit:?}"
            );
        }
        assert_eq!(read(&["", ""], Some(0)), (String::new(), false));
    }
}
