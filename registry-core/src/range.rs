//! Byte ranges: parts of a blob that are read, and the place of a chunk in an upload.

use std::{fmt, str::FromStr};

/// Bytes from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a pair of numbers stays one")]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The byte behind the last.
    pub end: u64,
}

impl ByteRange {
    /// All of a content of that size.
    pub fn whole(size: u64) -> Self {
        Self {
            start: 0,
            end: size,
        }
    }

    /// How many bytes it spans.
    pub fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it spans nothing.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// What a `Range` header (RFC 9110 §14.2) asks of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 9110 leaves no fourth")]
pub enum Ranges {
    /// Not a byte range at all: the whole is sent, as if the header were absent.
    Ignored,
    /// These parts, in the order asked for; never empty.
    Satisfiable(Vec<ByteRange>),
    /// Nothing that could be sent: 416.
    Unsatisfiable,
}

impl Ranges {
    /// The most parts that one request may ask for; a request for more is answered with 416, as
    /// RFC 9110 §14.2 allows for what looks like an attack.
    pub const MAX_PARTS: usize = 64;

    /// Reads the value of a `Range` header against a content of `size` bytes.
    ///
    /// Another unit than bytes is ignored. A byte range that cannot be read, or runs backwards
    /// (`bytes=500-0`), is unsatisfiable, as is a set whose parts all lie outside, or that asks for
    /// more bytes in total than twice the content.
    pub fn parse(value: &str, size: u64) -> Self {
        let Some((unit, set)) = value.split_once('=') else {
            return Self::Ignored;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Ignored;
        }
        let mut parts = Vec::new();
        for spec in set
            .split(',')
            .map(str::trim)
            .filter(|spec| !spec.is_empty())
        {
            if parts.len() == Self::MAX_PARTS {
                return Self::Unsatisfiable;
            }
            match part(spec, size) {
                Some(Some(range)) => parts.push(range),
                Some(None) => {}
                None => return Self::Unsatisfiable,
            }
        }
        let total: u128 = parts.iter().map(|range| u128::from(range.len())).sum();
        if parts.is_empty() || (parts.len() > 1 && total > u128::from(size) * 2) {
            return Self::Unsatisfiable;
        }
        Self::Satisfiable(parts)
    }
}

/// `None`: unreadable. `Some(None)`: readable, but outside of the content.
#[expect(clippy::option_option, reason = "private, and the two absences differ")]
fn part(spec: &str, size: u64) -> Option<Option<ByteRange>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?;
        let range = ByteRange {
            start: size.saturating_sub(length),
            end: size,
        };
        return Some((!range.is_empty()).then_some(range));
    }
    let start = number(first)?;
    let end = if last.is_empty() {
        size
    } else {
        number(last)?.saturating_add(1).min(size)
    };
    if !last.is_empty() && number(last)? < start {
        return None;
    }
    Some((start < size).then_some(ByteRange { start, end }))
}

/// Digits only; what does not fit is the largest number, which lies outside of any content.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX - 1))
}

/// Where a chunk lies in its upload: `Content-Range: <start>-<end>`, both inclusive
/// (distribution-spec, "Pushing a blob in chunks"). The form of RFC 9110 §14.4,
/// `bytes <start>-<end>/<size>`, is read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ContentRange {
    /// The offset of its first byte.
    pub start: u64,
    /// How many bytes it has, at least one.
    pub length: u64,
}

impl FromStr for ContentRange {
    type Err = InvalidContentRange;

    fn from_str(text: &str) -> Result<Self, InvalidContentRange> {
        let text = text.trim();
        let text = text
            .strip_prefix("bytes")
            .map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
        let text = text.split_once('/').map_or(text, |(range, _)| range);
        let (start, end) = text.split_once('-').ok_or(InvalidContentRange)?;
        let digits = |text: &str| -> Option<u64> {
            let text = text.trim();
            text.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| text.parse().ok())?
        };
        let (start, end) = digits(start).zip(digits(end)).ok_or(InvalidContentRange)?;
        let length = end
            .checked_sub(start)
            .and_then(|length| length.checked_add(1))
            .ok_or(InvalidContentRange)?;
        Ok(Self { start, length })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.start + (self.length - 1))
    }
}

/// A text that is no content range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a content range is the offsets of the first and the last byte with a dash between them")]
#[non_exhaustive]
pub struct InvalidContentRange;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(parts: &[(u64, u64)]) -> Ranges {
        Ranges::Satisfiable(
            parts
                .iter()
                .map(|&(start, end)| ByteRange { start, end })
                .collect(),
        )
    }

    #[test]
    fn ranges_of_a_thousand_bytes() {
        let table = [
            ("bytes=0-0", parts(&[(0, 1)])),
            ("bytes=0-", parts(&[(0, 1000)])),
            ("bytes=10-19", parts(&[(10, 20)])),
            ("bytes=990-2000", parts(&[(990, 1000)])),
            ("bytes=-10", parts(&[(990, 1000)])),
            ("bytes=-5000", parts(&[(0, 1000)])),
            ("bytes=0-1, 5-6 ,-1", parts(&[(0, 2), (5, 7), (999, 1000)])),
            ("bytes=0-1,3000-", parts(&[(0, 2)])),
            ("Bytes=1-1", parts(&[(1, 2)])),
            ("bytes=0-99999999999999999999999", parts(&[(0, 1000)])),
            ("bytes=0-18446744073709551615", parts(&[(0, 1000)])),
            ("bytes=1000-", Ranges::Unsatisfiable),
            ("bytes=500-0", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=", Ranges::Unsatisfiable),
            ("bytes=a-b", Ranges::Unsatisfiable),
            ("bytes=0-999,0-999,0-999", Ranges::Unsatisfiable),
            ("items=0-1", Ranges::Ignored),
            ("nonsense", Ranges::Ignored),
        ];
        for (text, expected) in table {
            assert_eq!(Ranges::parse(text, 1000), expected, "{text}");
        }
        let many = format!("bytes={}", vec!["0-0"; 65].join(","));
        assert_eq!(Ranges::parse(&many, 1000), Ranges::Unsatisfiable);
        assert_eq!(Ranges::parse("bytes=0-", 0), Ranges::Unsatisfiable);
        let (size, twice) = (9_295_429_630_892_703_744, "bytes=0-,5-,5-,-33");
        assert_eq!(Ranges::parse(twice, size), Ranges::Unsatisfiable);
    }

    #[test]
    fn content_ranges() {
        for (text, start, length) in [
            ("0-0", 0, 1),
            ("5-9", 5, 5),
            ("bytes 0-4/10", 0, 5),
            ("bytes=1-2", 1, 2),
        ] {
            assert_eq!(text.parse(), Ok(ContentRange { start, length }), "{text}");
        }
        for bad in [
            "",
            "-",
            "5",
            "5-",
            "-5",
            "9-5",
            "a-b",
            "0-18446744073709551615",
            "+1-2",
            "0-1-2",
        ] {
            assert_eq!(
                bad.parse::<ContentRange>(),
                Err(InvalidContentRange),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn satisfiable_parts_lie_inside(text in "(bytes=)?[0-9,\\- ]{0,30}", size in 0u64..2000) {
            if let Ranges::Satisfiable(parts) = Ranges::parse(&text, size) {
                prop_assert!(!parts.is_empty());
                for part in parts {
                    prop_assert!(part.start < part.end && part.end <= size);
                }
            }
        }

        #[test]
        fn content_ranges_round_trip(start in 0u64..u64::MAX / 2, length in 1u64..u64::MAX / 2) {
            let range = ContentRange { start, length };
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
