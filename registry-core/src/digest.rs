//! Digests: the names of content.
//!
//! The grammar is image-spec's ("Descriptors", "Digests"):
//!
//! ```text
//! digest     := algorithm ":" encoded
//! algorithm  := component (separator component)*
//! component  := [a-z0-9]+
//! separator  := "+" | "." | "_" | "-"
//! encoded    := [a-zA-Z0-9=_-]+
//! ```
//!
//! Any grammatical algorithm can be referred to (a subject, a descriptor of something elsewhere).
//! Where the algorithm is a registered one, the encoded part must have its length and be lower-case
//! hexadecimal.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hash::Algorithm;

/// A digest, such as `sha256:e3b0…`.
///
/// Guarantees: grammatical, ASCII, at most [`Digest::MAX_LENGTH`] bytes, and with the right length
/// and alphabet where the algorithm is registered. Cloning does not allocate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// The longest digest that is taken, in bytes. The longest registered one has 135.
    pub const MAX_LENGTH: usize = 255;

    /// Parses a digest.
    ///
    /// # Errors
    ///
    /// [`InvalidDigest`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidDigest::TooLong);
        }
        let (algorithm, encoded) = text.split_once(':').ok_or(InvalidDigest::Grammar)?;
        let component = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if !algorithm.split(['+', '.', '_', '-']).all(component) {
            return Err(InvalidDigest::Grammar);
        }
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-');
        if encoded.is_empty() || !encoded.bytes().all(letter) {
            return Err(InvalidDigest::Grammar);
        }
        if let Some(registered) = Algorithm::from_name(algorithm) {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if encoded.len() != registered.hex_length() || !encoded.bytes().all(hex) {
                return Err(InvalidDigest::Encoding(registered));
            }
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut text = String::with_capacity(algorithm.hex_length() + 7);
        text.push_str(algorithm.as_str());
        text.push(':');
        for byte in hash {
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(nibble.into(), 16));
            }
        }
        Self(text.into())
    }

    /// The whole digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the algorithm.
    pub fn algorithm(&self) -> &str {
        self.halves().0
    }

    /// What stands behind the colon.
    pub fn encoded(&self) -> &str {
        self.halves().1
    }

    /// The algorithm, if it is one that content can be stored under.
    pub fn content_algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_name(self.algorithm())
    }

    fn halves(&self) -> (&str, &str) {
        self.0.split_once(':').expect("a digest has a colon")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDigest {
    /// A registered algorithm, but not its length or not lower-case hexadecimal.
    #[error("a {0} digest has {len} lower-case hexadecimal characters", len = .0.hex_length())]
    Encoding(Algorithm),
    /// It does not match the grammar.
    #[error("a digest is an algorithm, a colon and an encoded hash")]
    Grammar,
    /// It has more than [`Digest::MAX_LENGTH`] bytes.
    #[error("a digest has at most {} characters", Digest::MAX_LENGTH)]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_and_refuses_as_the_grammar_says() {
        let hex = "0123456789abcdef".repeat(4);
        let good = [
            format!("sha256:{hex}"),
            format!("sha512:{hex}{hex}"),
            "blake3:abc".to_owned(),
            "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564".to_owned(),
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8".to_owned(),
        ];
        for good in &good {
            assert_eq!(
                Digest::parse(good).map(|d| d.to_string()).as_ref(),
                Ok(good)
            );
        }
        let bad = [
            String::new(),
            ":".to_owned(),
            "sha256:".to_owned(),
            format!(":{hex}"),
            format!("sha256{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha512:{hex}"),
            format!("SHA256:{hex}"),
            format!("sha256:{hex}:x"),
            "a..b:c".to_owned(),
            "+a:c".to_owned(),
            "blake3:../x".to_owned(),
            "blake3:a/b".to_owned(),
            "blake3:a\0".to_owned(),
        ];
        for bad in &bad {
            assert!(Digest::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            Digest::parse(&format!("a:{}", "b".repeat(300))),
            Err(InvalidDigest::TooLong)
        );
    }

    proptest! {
        #[test]
        fn what_parses_is_kept_verbatim(text in "\\PC{0,80}") {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.as_str(), text.as_str());
                prop_assert!(!text.contains('/') && !text.contains(".."));
            }
        }

        #[test]
        fn content_digests_parse(content in proptest::collection::vec(any::<u8>(), 0..64)) {
            for algorithm in Algorithm::ALL {
                let digest = algorithm.digest(&content);
                prop_assert_eq!(Digest::parse(digest.as_str()), Ok(digest.clone()));
                prop_assert_eq!(digest.content_algorithm(), Some(algorithm));
            }
        }
    }
}
