//! Tags, and the references that name a manifest by tag or by digest.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::{Digest, InvalidDigest};

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution-spec, "Pulling manifests").
///
/// ```
/// use registry_core::Tag;
///
/// assert!("v1.0".parse::<Tag>().is_ok());
/// assert!(".hidden".parse::<Tag>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The longest tag there is, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// Parses a tag.
    ///
    /// # Errors
    ///
    /// [`InvalidTag`] when the text does not match the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let valid = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTag)
        }
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which clients of registries without the referrers API keep the referrers of
    /// `subject` (distribution-spec, "Referrers Tag Schema"): the algorithm cut to 32 characters, a
    /// dash, the encoded part cut to 64, and a dash for every character that no tag has.
    pub fn referrers_fallback(subject: &Digest) -> Self {
        let algorithm = subject.algorithm().chars().take(32);
        let encoded = subject.encoded().chars().take(64);
        let text: String = algorithm
            .chain(['-'])
            .chain(encoded)
            .map(|c| match c {
                '_' | '.' => c,
                c if c.is_ascii_alphanumeric() => c,
                _ => '-',
            })
            .collect();
        Self(text.into())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        Self::parse(text)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A text that is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tag is a letter, digit or '_', then at most {} letters, digits, '_', '.' or '-'",
    Tag::MAX_LENGTH - 1
)]
#[non_exhaustive]
pub struct InvalidTag;

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the specification knows these two")]
pub enum Reference {
    /// By the digest of its bytes.
    Digest(Digest),
    /// By a tag.
    Tag(Tag),
}

impl Reference {
    /// Parses a reference: a digest when there is a colon (no tag has one), else a tag.
    ///
    /// # Errors
    ///
    /// [`InvalidReference`] says which of the two it is not.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        if text.contains(':') {
            Ok(Self::Digest(Digest::parse(text)?))
        } else {
            Ok(Self::Tag(Tag::parse(text)?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Self::parse(text)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReference {
    /// It has a colon, but is no digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// It has no colon, but is no tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
}

/// What a tag must be for a write to go ahead: `If-Match` and `If-None-Match` of RFC 9110 §13.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Nothing is expected.
    #[default]
    Any,
    /// It must not exist (`If-None-Match: *`).
    Absent,
    /// It must not exist, or be one of these: what a tag that never moves expects.
    AbsentOr(Vec<Digest>),
    /// It must be one of these (`If-Match: "…"`).
    Is(Vec<Digest>),
    /// It must be none of these; not existing is fine (`If-None-Match: "…"`).
    IsNot(Vec<Digest>),
    /// It must exist (`If-Match: *`).
    Present,
    /// It must exist, and be none of these.
    PresentBut(Vec<Digest>),
}

impl Expect {
    /// Whether `current` is what was expected.
    pub fn holds(&self, current: Option<&Digest>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::AbsentOr(digests) => current.is_none_or(|current| digests.contains(current)),
            Self::Is(digests) => current.is_some_and(|current| digests.contains(current)),
            Self::IsNot(digests) => current.is_none_or(|current| !digests.contains(current)),
            Self::Present => current.is_some(),
            Self::PresentBut(digests) => current.is_some_and(|current| !digests.contains(current)),
        }
    }

    /// What holds where both hold.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        // Each is a set: these digests, or all but these; and whether "absent" is in it.
        let absent = self.holds(None) && other.holds(None);
        let filter = |digests: Vec<Digest>, other: &Self| {
            let kept = digests.into_iter().filter(|one| other.holds(Some(one)));
            kept.collect::<Vec<_>>()
        };
        let finite = match (self.split(), other.split()) {
            ((true, digests), _) => filter(digests, other),
            (_, (true, digests)) => filter(digests, self),
            ((false, mut excluded), (false, more)) => {
                excluded.extend(more);
                return match (absent, excluded.is_empty()) {
                    (true, true) => Self::Any,
                    (true, false) => Self::IsNot(excluded),
                    (false, true) => Self::Present,
                    (false, false) => Self::PresentBut(excluded),
                };
            }
        };
        match (absent, finite.is_empty()) {
            (true, true) => Self::Absent,
            (true, false) => Self::AbsentOr(finite),
            (false, _) => Self::Is(finite),
        }
    }

    /// The digests that it names, and whether they are those that hold (or those that do not).
    fn split(&self) -> (bool, Vec<Digest>) {
        match self {
            Self::Absent => (true, Vec::new()),
            Self::AbsentOr(digests) | Self::Is(digests) => (true, digests.clone()),
            Self::Any | Self::Present => (false, Vec::new()),
            Self::IsNot(digests) | Self::PresentBut(digests) => (false, digests.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::Algorithm;

    #[test]
    fn tags() {
        for good in ["a", "_", "v1.0", "A-b_c.d", &"a".repeat(128)] {
            assert!(Tag::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "-a",
            ".a",
            "a/b",
            "a:b",
            "a b",
            "a\0",
            "ä",
            &"a".repeat(129),
        ] {
            assert_eq!(Tag::parse(bad), Err(InvalidTag), "{bad}");
        }
    }

    #[test]
    fn references() {
        let digest = Algorithm::Sha256.digest(b"x");
        assert_eq!(Reference::parse(digest.as_str()), Ok(digest.into()));
        assert!(matches!(Reference::parse("latest"), Ok(Reference::Tag(_))));
        assert!(matches!(
            Reference::parse("sha256:x"),
            Err(InvalidReference::Digest(_))
        ));
        assert!(matches!(
            Reference::parse("a/b"),
            Err(InvalidReference::Tag(_))
        ));
    }

    #[test]
    fn fallback_tags_are_cut() {
        let sha512 = Algorithm::Sha512.digest(b"x");
        let table = [
            (
                sha512.to_string(),
                format!("sha512-{}", &sha512.encoded()[..64]),
            ),
            ("sha256+b64:abc=_d".into(), "sha256-b64-abc-_d".into()),
            (
                format!("{}:{}", "a+".repeat(30) + "b", "X=".repeat(60)),
                format!("{}-{}", "a-".repeat(16), "X-".repeat(32)),
            ),
        ];
        for (subject, expected) in table {
            let tag = Tag::referrers_fallback(&Digest::parse(&subject).unwrap());
            assert_eq!(tag.as_str(), expected, "{subject}");
            assert_eq!(Tag::parse(&expected), Ok(tag));
        }
    }

    #[test]
    fn expectations() {
        let (a, b) = (
            Algorithm::Sha256.digest(b"a"),
            Algorithm::Sha256.digest(b"b"),
        );
        let table = [
            (Expect::Any, [true, true, true]),
            (Expect::Absent, [true, false, false]),
            (Expect::Present, [false, true, true]),
            (Expect::Is(vec![a.clone()]), [false, true, false]),
            (Expect::IsNot(vec![a.clone()]), [true, false, true]),
            (Expect::AbsentOr(vec![a.clone()]), [true, true, false]),
            (Expect::PresentBut(vec![a.clone()]), [false, false, true]),
        ];
        let c = Algorithm::Sha256.digest(b"c");
        let holds = |expect: &Expect| [None, Some(&a), Some(&b)].map(|one| expect.holds(one));
        for (expect, expected) in &table {
            assert_eq!(holds(expect), *expected, "{expect:?}");
            for (other, _) in &table {
                let both = expect.and(other);
                for current in [None, Some(&a), Some(&b), Some(&c)] {
                    let expected = expect.holds(current) && other.holds(current);
                    assert_eq!(both.holds(current), expected, "{expect:?} {other:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_a_safe_file_name(text in "\\PC{0,140}") {
            if let Ok(tag) = Tag::parse(&text) {
                prop_assert!(!tag.as_str().starts_with('.') && !tag.as_str().contains('/'));
            }
        }

        #[test]
        fn displayed_references_parse_again(text in "[a-z0-9:._-]{1,100}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
            }
        }
    }
}
