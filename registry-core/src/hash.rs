//! Hashing content, in a way that can stop and go on.
//!
//! A [`Hasher`] can be saved as a [`HashState`] after any byte and restored later, in another
//! process too: an upload that was cut goes on without reading again what is already hashed.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use crate::digest::Digest;

/// An algorithm that content can be stored under.
///
/// References may name any algorithm (see [`Digest`]); bytes are only verified and kept under
/// these two, the registered algorithms of image-spec ("Descriptors", "Registered Algorithms").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256: what every client uses unless told otherwise.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name in a digest, in front of the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of that name, if content can be stored under it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }

    /// The number of hexadecimal characters behind the colon.
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The digest of `content`.
    pub fn digest(self, content: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(content);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Hashes bytes as they pass.
///
/// ```
/// use registry_core::{Algorithm, Hasher};
///
/// let mut hasher = Hasher::new(Algorithm::Sha256);
/// hasher.update(b"hello ");
/// let saved = hasher.save();
/// let mut hasher = Hasher::restore(&saved).expect("it was saved by this version");
/// hasher.update(b"world");
/// assert_eq!(hasher.finish(), Algorithm::Sha256.digest(b"hello world"));
/// ```
#[derive(Clone)]
pub struct Hasher {
    inner: Inner,
    covered: u64,
}

#[derive(Clone)]
enum Inner {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        let inner = match algorithm {
            Algorithm::Sha256 => Inner::Sha256(Sha256::new()),
            Algorithm::Sha512 => Inner::Sha512(Sha512::new()),
        };
        Self { inner, covered: 0 }
    }

    /// The hasher that was saved, or `None` when the state is not one that this version wrote:
    /// hash the bytes again then.
    pub fn restore(state: &HashState) -> Option<Self> {
        let inner = match state.algorithm() {
            Algorithm::Sha256 => Inner::Sha256(restored(&state.bytes)?),
            Algorithm::Sha512 => Inner::Sha512(restored(&state.bytes)?),
        };
        Some(Self {
            inner,
            covered: state.covered,
        })
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.inner {
            Inner::Sha256(hasher) => hasher.update(bytes),
            Inner::Sha512(hasher) => hasher.update(bytes),
        }
        self.covered += bytes.len() as u64;
    }

    /// How many bytes were taken in.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self.inner {
            Inner::Sha256(_) => Algorithm::Sha256,
            Inner::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Where it stands, to go on from later.
    pub fn save(&self) -> HashState {
        let bytes = match &self.inner {
            Inner::Sha256(hasher) => hasher.serialize().to_vec(),
            Inner::Sha512(hasher) => hasher.serialize().to_vec(),
        };
        HashState {
            algorithm: self.algorithm().as_str().to_owned(),
            covered: self.covered,
            bytes,
        }
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Digest {
        match self.inner {
            Inner::Sha256(hasher) => Digest::from_hash(Algorithm::Sha256, &hasher.finalize()),
            Inner::Sha512(hasher) => Digest::from_hash(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm())
            .field("covered", &self.covered)
            .finish_non_exhaustive()
    }
}

fn restored<H: SerializableState>(bytes: &[u8]) -> Option<H> {
    let state = SerializedState::<H>::try_from(bytes).ok()?;
    H::deserialize(&state).ok()
}

/// A hasher, saved. The bytes inside belong to the version that wrote them; a version that does
/// not know them hashes again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashState {
    algorithm: String,
    covered: u64,
    bytes: Vec<u8>,
}

impl HashState {
    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        Algorithm::from_name(&self.algorithm).unwrap_or_default()
    }

    /// How many bytes had been taken in.
    pub fn covered(&self) -> u64 {
        self.covered
    }
}

impl fmt::Debug for HashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashState")
            .field("algorithm", &self.algorithm)
            .field("covered", &self.covered)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_digests() {
        assert_eq!(
            Algorithm::Sha256.digest(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(
            Algorithm::Sha512
                .digest(b"")
                .as_str()
                .starts_with("sha512:cf83e1357eefb8bd")
        );
    }

    #[test]
    fn a_foreign_state_is_no_state() {
        let state = HashState {
            algorithm: "sha256".to_owned(),
            covered: 3,
            bytes: vec![1, 2, 3],
        };
        assert!(Hasher::restore(&state).is_none());
    }

    proptest! {
        #[test]
        fn goes_on_after_any_byte(content in proptest::collection::vec(any::<u8>(), 0..600), cut in 0usize..600) {
            let cut = cut.min(content.len());
            for algorithm in Algorithm::ALL {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&content[..cut]);
                let json = serde_json::to_vec(&hasher.save()).unwrap();
                let state: HashState = serde_json::from_slice(&json).unwrap();
                let mut hasher = Hasher::restore(&state).unwrap();
                prop_assert_eq!(hasher.covered(), cut as u64);
                hasher.update(&content[cut..]);
                prop_assert_eq!(hasher.finish(), algorithm.digest(&content));
            }
        }
    }
}
