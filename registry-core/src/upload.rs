//! The upload state machine, pure: no async, no store, and every decision about a chunk.
//!
//! ```text
//! Open ──accept(chunk)──► Receiving ──end──► Open
//!  └───close(digest)────► Closing ──verify(digest found)──► commit
//! ```
//!
//! Each state is a type with its own transition. The rules are distribution-spec's ("Pushing a blob
//! in chunks"): chunks arrive in order, one that does not begin where the last one ended is refused
//! and the upload stands.

use crate::{
    digest::Digest,
    error::{Error, ErrorCode},
    hash::Algorithm,
};

/// An upload that waits for its next chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    length: u64,
}

/// What a chunk says about itself before its bytes are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkHead {
    /// The offset of its first byte: from `Content-Range`, or from the Location it was sent to.
    pub start: Option<u64>,
    /// How many bytes it will have.
    pub length: Option<u64>,
    /// Whether it is known to have no bytes at all.
    pub empty: bool,
}

impl ChunkHead {
    /// A chunk that says so.
    pub fn new(start: Option<u64>, length: Option<u64>) -> Self {
        Self {
            start,
            length,
            empty: length == Some(0),
        }
    }
}

impl Open {
    /// An upload of which `length` bytes have arrived.
    pub fn at(length: u64) -> Self {
        Self { length }
    }

    /// Decides on a chunk before any byte of it is read. `limit` is the most bytes a blob may have.
    ///
    /// A chunk without bytes changes nothing and is accepted wherever it says to begin: clients send
    /// one to a Location that is no longer the newest.
    ///
    /// # Errors
    ///
    /// [`Refusal::OutOfOrder`] when it does not begin where the upload ends, [`Refusal::TooLarge`]
    /// when its length would pass the limit.
    pub fn accept(self, head: ChunkHead, limit: Option<u64>) -> Result<Receiving, Refusal> {
        let out_of_order = head.start.is_some_and(|start| start != self.length);
        if out_of_order && !head.empty {
            return Err(Refusal::OutOfOrder {
                expected: self.length,
            });
        }
        let room = limit.map(|limit| limit.saturating_sub(self.length));
        match (head.length, room, limit) {
            (Some(length), Some(room), Some(limit)) if length > room => {
                Err(Refusal::TooLarge { limit })
            }
            _ => Ok(Receiving {
                from: self.length,
                declared: head.length,
                room,
                limit,
            }),
        }
    }

    /// Begins the end: from here on only `digest` can come of it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Algorithm`] when content cannot be stored under that digest.
    pub fn close(self, digest: &Digest) -> Result<Closing<'_>, Refusal> {
        let algorithm = digest.content_algorithm().ok_or(Refusal::Algorithm)?;
        Ok(Closing { digest, algorithm })
    }
}

/// An upload that takes the bytes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiving {
    from: u64,
    declared: Option<u64>,
    room: Option<u64>,
    limit: Option<u64>,
}

impl Receiving {
    /// The most bytes to read: what the chunk declared, and what the limit leaves. Whoever reads
    /// stops there and says so to [`end`](Self::end).
    pub fn at_most(&self) -> Option<u64> {
        self.declared.into_iter().chain(self.room).min()
    }

    /// Decides on the chunk now that its bytes are stored: `length` is the upload's, `excess` that
    /// there were more bytes than [`at_most`](Self::at_most), `cut` that the body failed.
    ///
    /// The upload stands at `length` in every case.
    ///
    /// # Errors
    ///
    /// [`Refusal::Length`] when the chunk has not the length it declared, [`Refusal::TooLarge`] when
    /// it passed the limit, [`Refusal::Cut`] when it ended early.
    pub fn end(self, length: u64, excess: bool, cut: bool) -> Result<Open, Refusal> {
        let arrived = length.saturating_sub(self.from);
        if excess {
            return Err(match (self.declared, self.limit) {
                (Some(declared), _) if self.at_most() == Some(declared) => Refusal::Length {
                    declared,
                    arrived: None,
                },
                (_, Some(limit)) => Refusal::TooLarge { limit },
                (declared, None) => Refusal::Length {
                    declared: declared.unwrap_or(arrived),
                    arrived: None,
                },
            });
        }
        if cut {
            return Err(Refusal::Cut { arrived });
        }
        match self.declared {
            Some(declared) if declared != arrived => Err(Refusal::Length {
                declared,
                arrived: Some(arrived),
            }),
            _ => Ok(Open { length }),
        }
    }
}

/// An upload that shall become the blob of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing<'a> {
    digest: &'a Digest,
    algorithm: Algorithm,
}

impl Closing<'_> {
    /// The algorithm under which to find the digest of what arrived.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Decides now that the digest of what arrived is known.
    ///
    /// # Errors
    ///
    /// [`Refusal::Mismatch`] when it is another: the upload stands.
    pub fn verify(self, found: &Digest) -> Result<(), Refusal> {
        if found == self.digest {
            Ok(())
        } else {
            Err(Refusal::Mismatch)
        }
    }
}

/// Why a chunk or a closing was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The digest is of an algorithm that content is not stored under.
    #[error("content is stored under sha256 and sha512 only")]
    Algorithm,
    /// The chunk ended early.
    #[error("the body ended early; {arrived} bytes of it are kept")]
    Cut {
        /// How many of its bytes are kept.
        arrived: u64,
    },
    /// The chunk has not the length it declared.
    #[error("the body has not the declared length of {declared} bytes")]
    Length {
        /// What it declared.
        declared: u64,
        /// How many of its bytes are kept; `None`: there were more than declared.
        arrived: Option<u64>,
    },
    /// The content has another digest.
    #[error("the content has not the digest that was given")]
    Mismatch,
    /// The chunk does not begin where the upload ends.
    #[error("the next byte of this upload is that at offset {expected}")]
    OutOfOrder {
        /// Where the upload ends.
        expected: u64,
    },
    /// The blob would be larger than this registry takes.
    #[error("a blob has at most {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Algorithm | Refusal::Mismatch => ErrorCode::DigestInvalid,
            Refusal::Cut { .. } | Refusal::Length { .. } => ErrorCode::SizeInvalid,
            Refusal::OutOfOrder { .. } => ErrorCode::RangeInvalid,
            Refusal::TooLarge { .. } => ErrorCode::TooLarge,
        };
        Self::new(code, refusal.to_string())
    }
}

/// That there is no such upload: the 404 of every verb on one.
pub(crate) fn unknown() -> Error {
    Error::new(
        ErrorCode::BlobUploadUnknown,
        "there is no such upload in this repository",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chunks_arrive_in_order() {
        let out = |expected| Err(Refusal::OutOfOrder { expected });
        let table = [
            (0, None, None, Ok(())),
            (0, Some(0), Some(5), Ok(())),
            (0, Some(1), Some(5), out(0)),
            (1, Some(1), None, Ok(())),
            (1, Some(0), None, out(1)),
            (7, Some(3), Some(0), Ok(())),
            (7, Some(8), Some(1), out(7)),
        ];
        for (length, start, declared, expected) in table {
            let head = ChunkHead::new(start, declared);
            assert_eq!(
                Open::at(length).accept(head, None).map(|_| ()),
                expected,
                "{head:?}"
            );
        }
    }

    #[test]
    fn a_limit_holds_before_and_while_receiving() {
        let too_large = Refusal::TooLarge { limit: 10 };
        let head = ChunkHead::new(None, Some(6));
        assert_eq!(Open::at(5).accept(head, Some(10)), Err(too_large));
        let receiving = Open::at(5).accept(ChunkHead::default(), Some(10)).unwrap();
        assert_eq!(receiving.at_most(), Some(5));
        assert_eq!(receiving.end(10, true, false), Err(too_large));
        assert_eq!(receiving.end(10, false, false), Ok(Open::at(10)));
    }

    #[test]
    fn a_declared_length_is_kept() {
        let receiving = Open::at(5)
            .accept(ChunkHead::new(Some(5), Some(3)), None)
            .unwrap();
        assert_eq!(receiving.end(8, false, false), Ok(Open::at(8)));
        let short = Refusal::Length {
            declared: 3,
            arrived: Some(1),
        };
        assert_eq!(receiving.end(6, false, false), Err(short));
        let long = Refusal::Length {
            declared: 3,
            arrived: None,
        };
        assert_eq!(receiving.end(8, true, false), Err(long));
        assert_eq!(
            receiving.end(6, false, true),
            Err(Refusal::Cut { arrived: 1 })
        );
    }

    #[test]
    fn only_its_digest_comes_of_it() {
        let digest = Algorithm::Sha512.digest(b"x");
        let closing = Open::at(1).close(&digest).unwrap();
        assert_eq!(closing.algorithm(), Algorithm::Sha512);
        assert_eq!(closing.verify(&digest), Ok(()));
        assert_eq!(
            closing.verify(&Algorithm::Sha512.digest(b"y")),
            Err(Refusal::Mismatch)
        );
        let other = Digest::parse("blake3:abc").unwrap();
        assert_eq!(Open::at(1).close(&other), Err(Refusal::Algorithm));
    }

    proptest! {
        /// Whatever chunks come, the upload grows by exactly what was accepted.
        #[test]
        fn the_length_is_the_sum_of_what_was_accepted(
            chunks in proptest::collection::vec((any::<bool>(), 0u64..50, 0u64..50, any::<bool>()), 0..20),
            limit in proptest::option::of(0u64..400),
        ) {
            let mut open = Open::at(0);
            let mut sum = 0;
            for (ordered, start, length, declares) in chunks {
                let start = if ordered { sum } else { start };
                let head = ChunkHead::new(Some(start), declares.then_some(length));
                let Ok(receiving) = open.accept(head, limit) else { continue };
                let kept = receiving.at_most().map_or(length, |most| most.min(length));
                sum += kept;
                match receiving.end(sum, kept < length, false) {
                    Ok(next) => open = next,
                    Err(_) => open = Open::at(sum),
                }
                prop_assert_eq!(open, Open::at(sum));
                prop_assert!(limit.is_none_or(|limit| sum <= limit));
            }
        }
    }
}
