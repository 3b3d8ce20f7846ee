//! Content as a list of pieces, so that nothing is copied when it grows or is published.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use registry_core::{BlobSource, ByteRange, ByteStream};

/// A piece shorter than this is copied behind the one before it.
const SMALL: usize = 4 * 1024;
/// The room for small pieces that is set aside at once.
const ROOM: usize = 64 * 1024;

/// Content that grows at its end.
#[derive(Debug, Default)]
pub(super) struct Growing {
    pieces: Vec<Piece>,
    tail: BytesMut,
    length: u64,
}

/// Bytes, and the offset behind the last of them.
#[derive(Clone, Debug)]
struct Piece {
    end: u64,
    bytes: Bytes,
}

impl Growing {
    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        if self.tail.len() + bytes.len() > ROOM || bytes.len() >= SMALL {
            self.settle();
        }
        self.length += bytes.len() as u64;
        if bytes.len() >= SMALL {
            let end = self.length;
            self.pieces.push(Piece { end, bytes });
        } else {
            self.tail.extend_from_slice(&bytes);
        }
    }

    /// What is there now; it does not change when more is added.
    pub(super) fn snapshot(&mut self) -> Pieces {
        self.settle();
        Pieces(self.pieces.as_slice().into())
    }

    /// Makes a piece of the small ones.
    fn settle(&mut self) {
        if !self.tail.is_empty() {
            let bytes = std::mem::take(&mut self.tail).freeze();
            let end = self.length;
            self.pieces.push(Piece { end, bytes });
        }
    }
}

/// Content that is complete. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Pieces(Arc<[Piece]>);

impl Pieces {
    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.0.last().map_or(0, |piece| piece.end)
    }

    /// The piece of that number, cut to what lies in `range`.
    fn cut(&self, number: usize, range: ByteRange) -> Option<Bytes> {
        let piece = self.0.get(number)?;
        let first = piece.end - piece.bytes.len() as u64;
        let start = range.start.max(first);
        let end = range.end.min(piece.end);
        (start < end).then(|| {
            let at = |offset: u64| usize::try_from(offset - first).unwrap_or(usize::MAX);
            piece.bytes.slice(at(start)..at(end))
        })
    }

    /// The pieces of `range`.
    pub(super) fn range(&self, range: ByteRange) -> impl Iterator<Item = Bytes> + Send + 'static {
        let pieces = self.clone();
        let first = self.first(range.start);
        (first..).map_while(move |number| pieces.cut(number, range))
    }

    /// The number of the piece that has the byte at `offset`.
    fn first(&self, offset: u64) -> usize {
        self.0.partition_point(|piece| piece.end <= offset)
    }
}

impl BlobSource for Pieces {
    fn read(&self, range: ByteRange) -> ByteStream {
        if range.end > self.length() {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof);
            return ByteStream::new(stream::iter([Err(error)]));
        }
        ByteStream::new(stream::iter(self.range(range).map(Ok)))
    }

    fn read_now(&self, at: u64, max: usize) -> io::Result<Option<Bytes>> {
        let end = at.saturating_add(max as u64);
        let range = ByteRange { start: at, end };
        let bytes = self.cut(self.first(at), range);
        Ok(Some(bytes.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_what_was_pushed(
            lengths in proptest::collection::vec(prop_oneof![0usize..10, 0usize..9000], 0..40),
            start in 0u64..20_000,
            length in 0u64..20_000,
        ) {
            let mut growing = Growing::default();
            let mut whole = Vec::new();
            for (number, length) in lengths.into_iter().enumerate() {
                let bytes = Bytes::from(vec![number as u8; length]);
                whole.extend_from_slice(&bytes);
                growing.push(bytes);
                prop_assert_eq!(growing.length(), whole.len() as u64);
            }
            let pieces = growing.snapshot();
            prop_assert_eq!(pieces.length(), whole.len() as u64);
            let start = start.min(pieces.length());
            let end = (start + length).min(pieces.length());
            let expected = &whole[start as usize..end as usize];
            let read: Vec<u8> = pieces.range(ByteRange { start, end }).flatten().collect();
            prop_assert_eq!(&read, expected);
            let now = pieces.read_now(start, length as usize).unwrap().unwrap();
            prop_assert!(expected.starts_with(&now) && now.is_empty() == expected.is_empty());
        }
    }
}
