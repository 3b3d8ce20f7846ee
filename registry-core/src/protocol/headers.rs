//! What requests say in their headers.

use http::{HeaderMap, HeaderName, header};

use crate::{
    access::{Credentials, Secret},
    digest::Digest,
    error::{Error, ErrorCode, Result},
    range::ContentRange,
    reference::Expect,
};

/// The only value of a header that a list of values makes no sense for; `None` too when it is no text.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What `If-Match` and `If-None-Match` expect (RFC 9110 §13.1). Entity tags are digests, quoted or
/// not, weak or not; one that is no digest names nothing that exists.
pub fn expect(headers: &HeaderMap) -> Expect {
    let tags = |name, comparison| match entity_tags(headers, &name, comparison)? {
        EntityTags::Any => Some(None),
        EntityTags::These(tags) => Some(Some(
            tags.iter()
                .filter_map(|tag| Digest::parse(tag).ok())
                .collect(),
        )),
    };
    let must: Option<Option<Vec<Digest>>> = tags(header::IF_MATCH, Comparison::Strong);
    let must_not: Option<Option<Vec<Digest>>> = tags(header::IF_NONE_MATCH, Comparison::Weak);
    match (must, must_not) {
        (None, None) => Expect::Any,
        (None, Some(None)) => Expect::Absent,
        (None, Some(Some(digests))) => Expect::IsNot(digests),
        (Some(None), None) => Expect::Present,
        (Some(Some(digests)), None) => Expect::Is(digests),
        // Nothing that exists can be both: `Is` of nothing never holds.
        (Some(_), Some(None)) => Expect::Is(Vec::new()),
        (Some(Some(digests)), Some(Some(not))) => Expect::Is(
            digests
                .into_iter()
                .filter(|digest| !not.contains(digest))
                .collect(),
        ),
        // "It must exist" is what IsNot does not say; a reader of both gets the stricter half that
        // can be said, which never lets through what If-None-Match forbids.
        (Some(None), Some(Some(not))) => Expect::IsNot(not),
    }
}

/// Whether `If-None-Match` already has `digest`: the answer to a read is 304 then.
pub fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    match entity_tags(headers, &header::IF_NONE_MATCH, Comparison::Weak) {
        None => false,
        Some(EntityTags::Any) => true,
        Some(EntityTags::These(tags)) => tags.iter().any(|tag| tag == digest.as_str()),
    }
}

enum EntityTags {
    Any,
    These(Vec<String>),
}

/// How entity tags are compared (RFC 9110 §8.8.3.2): a weak one equals nothing when strongly compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn entity_tags(
    headers: &HeaderMap,
    name: &HeaderName,
    comparison: Comparison,
) -> Option<EntityTags> {
    let mut tags = Vec::new();
    let mut found = false;
    for value in headers.get_all(name) {
        found = true;
        let Ok(value) = value.to_str() else { continue };
        for tag in value
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
        {
            if tag == "*" {
                return Some(EntityTags::Any);
            }
            let weak = tag.strip_prefix("W/");
            if weak.is_none() || comparison == Comparison::Weak {
                tags.push(weak.unwrap_or(tag).trim_matches('"').to_owned());
            }
        }
    }
    found.then_some(EntityTags::These(tags))
}

/// Whether the `Range` of a request counts: `If-Range` is absent or names the content.
pub fn range_counts(headers: &HeaderMap, digest: &Digest) -> bool {
    let Some(validator) = headers.get(header::IF_RANGE) else {
        return true;
    };
    validator.to_str().is_ok_and(|tag| {
        tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(digest.as_str())
    })
}

/// Where a chunk lies, by its `Content-Range`.
///
/// # Errors
///
/// `RangeInvalid` when the header cannot be read.
pub fn content_range(headers: &HeaderMap) -> Result<Option<ContentRange>> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let range = value.to_str().ok().and_then(|value| value.parse().ok());
    let invalid = || {
        let message = "a Content-Range is the offsets of the first and the last byte: 0-1023";
        Error::new(ErrorCode::RangeInvalid, message)
    };
    range.map(Some).ok_or_else(invalid)
}

/// The length that the client declares, if it does.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &header::CONTENT_LENGTH)?.parse().ok()
}

/// What the client shows to say who it is. A header that cannot be read shows nothing that anybody
/// would accept: it becomes a bearer token that is empty.
pub fn credentials(headers: &HeaderMap) -> Credentials {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Credentials::None;
    };
    let unreadable = || Credentials::Bearer(Secret::new(""));
    let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return unreadable();
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Credentials::Bearer(Secret::new(rest.trim()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return unreadable();
    }
    let Some(text) = base64(rest.trim()).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return unreadable();
    };
    match text.split_once(':') {
        Some((username, password)) => Credentials::Basic {
            username: username.into(),
            password: Secret::new(password),
        },
        None => unreadable(),
    }
}

/// Decodes base64, standard or URL-safe, with or without padding.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::hash::Algorithm;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn expectations() {
        let (a, b) = (
            Algorithm::Sha256.digest(b"a"),
            Algorithm::Sha256.digest(b"b"),
        );
        let both = format!("\"{a}\", W/\"{b}\"");
        let strong = format!("\"{a}\", \"{b}\"");
        let (quoted, bare) = (format!("\"{a}\""), a.to_string());
        for (pairs, expected) in [
            (vec![], Expect::Any),
            (vec![("if-match", "*")], Expect::Present),
            (vec![("if-none-match", "*")], Expect::Absent),
            (
                vec![("if-match", quoted.as_str())],
                Expect::Is(vec![a.clone()]),
            ),
            (
                vec![("if-match", bare.as_str())],
                Expect::Is(vec![a.clone()]),
            ),
            (vec![("if-match", "\"nonsense\"")], Expect::Is(vec![])),
            (
                vec![("if-none-match", both.as_str())],
                Expect::IsNot(vec![a.clone(), b.clone()]),
            ),
            (
                vec![
                    ("if-match", strong.as_str()),
                    ("if-none-match", quoted.as_str()),
                ],
                Expect::Is(vec![b.clone()]),
            ),
            (
                vec![("if-match", both.as_str())],
                Expect::Is(vec![a.clone()]),
            ),
        ] {
            assert_eq!(expect(&headers(&pairs)), expected, "{pairs:?}");
        }
        assert!(not_modified(&headers(&[("if-none-match", &both)]), &b));
        assert!(!not_modified(&headers(&[("if-none-match", &quoted)]), &b));
        assert!(range_counts(&headers(&[("if-range", &quoted)]), &a));
        assert!(!range_counts(&headers(&[("if-range", &quoted)]), &b));
    }

    #[test]
    fn who_is_asking() {
        let basic = |value| match credentials(&headers(&[("authorization", value)])) {
            Credentials::Basic { username, password } => {
                Some((username.to_string(), password.expose().to_owned()))
            }
            _ => None,
        };
        let aladdin = Some(("Aladdin".to_owned(), "open sesame".to_owned()));
        assert_eq!(basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), aladdin);
        assert_eq!(basic("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"), aladdin);
        assert_eq!(basic("Basic !"), None);
        let bearer = credentials(&headers(&[("authorization", "Bearer abc")]));
        assert!(matches!(bearer, Credentials::Bearer(secret) if secret.expose() == "abc"));
        assert!(matches!(credentials(&HeaderMap::new()), Credentials::None));
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,60}") {
            for name in ["authorization", "if-match", "content-range", "if-range"] {
                let headers = headers(&[(name, &value)]);
                let _ = (credentials(&headers), expect(&headers), content_range(&headers));
            }
        }
    }
}
