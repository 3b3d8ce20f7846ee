//! Repository names.
//!
//! The grammar is distribution-spec's ("Pulling manifests"), bounded as Distribution bounds it:
//!
//! ```text
//! name      := component ("/" component)*
//! component := alphanum ((separator) alphanum)*
//! alphanum  := [a-z0-9]+
//! separator := "." | "_" | "__" | "-"+
//! ```
//!
//! A component can never be `..`, empty, or begin with `_`; a store may therefore use a name as a
//! relative path and keep `_`-prefixed names for itself.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of a repository, such as `library/alpine`.
///
/// Guarantees: it matches the grammar above, it is at most [`RepositoryName::MAX_LENGTH`] bytes
/// of ASCII, and ordering is the byte order of the whole name. Cloning does not allocate.
///
/// ```
/// use registry_core::RepositoryName;
///
/// let name: RepositoryName = "library/alpine".parse()?;
/// assert_eq!(name.components().count(), 2);
/// assert!("../etc".parse::<RepositoryName>().is_err());
/// # Ok::<(), registry_core::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The longest name there is, in bytes: Distribution's bound, which clients share.
    pub const MAX_LENGTH: usize = 255;

    /// Parses a name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the text does not match the grammar or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidName::TooLong);
        }
        if text.split('/').all(is_component) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::Grammar)
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes, never empty.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositoryName({})", self.0)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for RepositoryName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

impl Serialize for RepositoryName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepositoryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// Why a text is no repository name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// It does not match the grammar.
    #[error(
        "a repository name is lower-case letters and digits in components separated by '/', \
         inside a component separated by '.', '_', '__' or '-'"
    )]
    Grammar,
    /// It has more than [`RepositoryName::MAX_LENGTH`] bytes.
    #[error(
        "a repository name has at most {} characters",
        RepositoryName::MAX_LENGTH
    )]
    TooLong,
}

fn is_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut rest = bytes;
    loop {
        let letters = rest.iter().take_while(|byte| alphanumeric(byte)).count();
        if letters == 0 {
            return false;
        }
        rest = rest.get(letters..).unwrap_or_default();
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|byte| !alphanumeric(byte)).count();
        match rest.get(..separator).unwrap_or_default() {
            b"." | b"_" | b"__" => {}
            dashes if dashes.iter().all(|byte| *byte == b'-') => {}
            _ => return false,
        }
        rest = rest.get(separator..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_and_refuses_as_the_grammar_says() {
        for good in [
            "a", "0", "a/b", "a/b/c", "a-b", "a--b", "a---b", "a.b", "a_b", "a__b",
        ] {
            assert_eq!(
                RepositoryName::parse(good).map(|n| n.to_string()),
                Ok(good.to_owned())
            );
        }
        let bad = [
            "", "/", "a/", "/a", "a//b", "A", "a.", ".a", "..", "a..b", "a___b", "_a", "a_", "-a",
            "a-", "a._b", "a-.b", "a b", "a\0b", "ä", "a\\b", "a:b", "a/../b", "a%2fb",
        ];
        for bad in bad {
            assert_eq!(
                RepositoryName::parse(bad),
                Err(InvalidName::Grammar),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn is_bounded() {
        assert!(RepositoryName::parse(&"a".repeat(255)).is_ok());
        assert_eq!(
            RepositoryName::parse(&"a".repeat(256)),
            Err(InvalidName::TooLong)
        );
    }

    proptest! {
        #[test]
        fn never_a_dangerous_path(text in "\\PC{0,40}") {
            if let Ok(name) = RepositoryName::parse(&text) {
                prop_assert_eq!(name.as_str(), text.as_str());
                for component in name.components() {
                    prop_assert!(!component.is_empty() && !component.starts_with(['.', '_', '-']));
                }
            }
        }

        #[test]
        fn every_sentence_of_the_grammar_is_a_name(
            text in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}(/[a-z0-9]{1,4}){0,3}"
        ) {
            prop_assert!(RepositoryName::parse(&text).is_ok());
        }
    }
}
