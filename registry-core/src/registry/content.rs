//! The bytes of a manifest that is pushed.

use std::{fmt, io};

use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::{
    content::ByteStream,
    error::{Error, ErrorCode, Result},
};

/// The bytes of a manifest to push: at hand, or still on their way.
///
/// What is on its way is read by whoever needs it first, so that a layer that refuses a push has it
/// refused before anything was read.
#[derive(Debug)]
pub struct ManifestContent(Inner);

enum Inner {
    Whole(Bytes),
    Arriving {
        body: ByteStream,
        length: Option<u64>,
        limit: usize,
    },
    /// Reading failed, or was given up.
    Lost,
}

impl ManifestContent {
    /// Bytes that are on their way: `length` of them, where the client says so, and no more than
    /// `limit`.
    pub fn arriving(body: ByteStream, length: Option<u64>, limit: usize) -> Self {
        Self(Inner::Arriving {
            body,
            length,
            limit,
        })
    }

    /// All bytes. The first call reads those that are on their way; when it fails, or its future is
    /// dropped, they are lost.
    ///
    /// # Errors
    ///
    /// `TooLarge` when there are more than the limit: nothing is read when the client said so
    /// beforehand. `RequestTimeout` when they come too slowly, `SizeInvalid` when they end early.
    pub async fn read(&mut self) -> Result<Bytes> {
        let bytes = match std::mem::replace(&mut self.0, Inner::Lost) {
            Inner::Whole(bytes) => bytes,
            Inner::Arriving {
                body,
                length,
                limit,
            } => {
                if length.is_some_and(|length| length > limit as u64) {
                    return Err(too_large(limit));
                }
                collect(body, limit).await?
            }
            Inner::Lost => return Err(Error::new(ErrorCode::SizeInvalid, "the body was lost")),
        };
        self.0 = Inner::Whole(bytes.clone());
        Ok(bytes)
    }
}

impl<T: Into<Bytes>> From<T> for ManifestContent {
    fn from(bytes: T) -> Self {
        Self(Inner::Whole(bytes.into()))
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            Self::Arriving { length, .. } => f.debug_tuple("Arriving").field(length).finish(),
            Self::Lost => f.write_str("Lost"),
        }
    }
}

async fn collect(mut body: ByteStream, limit: usize) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(cut)?;
        if piece.len() > limit.saturating_sub(first.len().max(all.len())) {
            return Err(too_large(limit));
        }
        if first.is_empty() {
            first = piece;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
    }
    // Most come in one piece, which need not be copied.
    Ok(if all.is_empty() { first } else { all.into() })
}

fn too_large(limit: usize) -> Error {
    let message = format!("a manifest has at most {limit} bytes");
    Error::new(ErrorCode::TooLarge, message)
}

/// What to say when a body failed.
pub(crate) fn cut(error: io::Error) -> Error {
    let (code, message) = if error.kind() == io::ErrorKind::TimedOut {
        (ErrorCode::RequestTimeout, "the body came too slowly")
    } else {
        (ErrorCode::SizeInvalid, "the body ended early")
    };
    Error::new(code, message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};

    use super::*;

    fn read(content: &mut ManifestContent) -> Result<Bytes, ErrorCode> {
        let read = content.read().now_or_never().expect("nothing waits");
        read.map_err(|error| error.code())
    }

    fn arriving(
        pieces: &[Result<&'static str, io::ErrorKind>],
        length: Option<u64>,
    ) -> ManifestContent {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| piece.map(Bytes::from).map_err(io::Error::from))
            .collect();
        ManifestContent::arriving(ByteStream::new(stream::iter(pieces)), length, 6)
    }

    #[test]
    fn is_read_to_its_limit_and_can_be_read_again() {
        let (cut, slow) = (io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut);
        for (pieces, length, expected) in [
            (vec![], None, Ok("")),
            (vec![Ok("abcdef")], Some(6), Ok("abcdef")),
            (
                vec![Ok("a"), Ok(""), Ok("bcd"), Ok("ef")],
                None,
                Ok("abcdef"),
            ),
            (vec![Ok("abcdefg")], None, Err(ErrorCode::TooLarge)),
            (vec![Ok("abc"), Ok("defg")], None, Err(ErrorCode::TooLarge)),
            (
                vec![Ok("abc"), Ok("de"), Ok("fg")],
                None,
                Err(ErrorCode::TooLarge),
            ),
            (
                vec![Ok("abc"), Err(cut)],
                Some(6),
                Err(ErrorCode::SizeInvalid),
            ),
            (
                vec![Ok("abc"), Err(slow)],
                Some(6),
                Err(ErrorCode::RequestTimeout),
            ),
        ] {
            let mut content = arriving(&pieces, length);
            let found = read(&mut content);
            assert_eq!(found, expected.map(Bytes::from), "{pieces:?}");
            let again = read(&mut content);
            assert_eq!(again.is_ok(), expected.is_ok(), "{pieces:?}");
        }
        assert_eq!(read(&mut "abcdefg".into()).unwrap(), "abcdefg");
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_a_byte_is_read() {
        let body = ByteStream::new(stream::poll_fn(|_| panic!("it was read")));
        let mut content = ManifestContent::arriving(body, Some(7), 6);
        assert_eq!(read(&mut content), Err(ErrorCode::TooLarge));
    }
}
