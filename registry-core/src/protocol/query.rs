//! The parameters of a request.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{
    digest::Digest,
    error::{Error, ErrorCode, Result},
    hash::Algorithm,
    name::RepositoryName,
    page::Page,
    reference::Tag,
};

/// What must be escaped in a value.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'/')
    .remove(b':');

/// The parameters behind the `?`. A `+` is a `+`: media types have them, and no value has a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// How many entries a listing has when the client does not say, and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageSize {
    /// Without an `n`. It may be more than `max`.
    pub default: usize,
    /// With an `n` that is larger: the page ends there, and `Link` leads on.
    pub max: usize,
}

impl PageSize {
    /// These sizes.
    pub fn new(default: usize, max: usize) -> Self {
        Self { default, max }
    }
}

impl Query {
    /// The most tags that one manifest push may set. distribution-spec asks for ten at least.
    pub const MAX_TAGS: usize = 64;

    /// Reads parameters. What is not UTF-8 becomes U+FFFD, which no name, tag or digest has.
    pub fn parse(text: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }

    /// The page that `n` and `last` ask for.
    ///
    /// # Errors
    ///
    /// `PaginationNumberInvalid` when `n` is not a number of entries. One that is too large is not
    /// wrong: the page is shorter.
    pub fn page(&self, size: PageSize) -> Result<Page> {
        let limit = match self.first("n") {
            None | Some("") => size.default,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().unwrap_or(usize::MAX).min(size.max)
            }
            Some(_) => {
                let message = "n is the number of entries of a page";
                return Err(Error::new(ErrorCode::PaginationNumberInvalid, message));
            }
        };
        let page = Page::first(limit);
        Ok(match self.first("last").filter(|last| !last.is_empty()) {
            Some(last) => page.after(last),
            None => page,
        })
    }

    /// The digest in `digest`.
    ///
    /// # Errors
    ///
    /// `DigestInvalid` when it is malformed.
    pub fn digest(&self) -> Result<Option<Digest>> {
        Ok(self.first("digest").map(Digest::parse).transpose()?)
    }

    /// The algorithm in `digest-algorithm` (end-4c).
    ///
    /// # Errors
    ///
    /// `DigestInvalid` when content cannot be stored under it.
    pub fn digest_algorithm(&self) -> Result<Option<Algorithm>> {
        let Some(name) = self.first("digest-algorithm") else {
            return Ok(None);
        };
        let algorithm = Algorithm::from_name(name).ok_or_else(|| {
            let message = "content is stored under sha256 and sha512 only";
            Error::new(ErrorCode::DigestInvalid, message)
        })?;
        Ok(Some(algorithm))
    }

    /// The blob in `mount` and the repository in `from` (end-11). A `from` that is no name is one
    /// that nobody can pull from, and so is told apart from none: the mount cannot be had. An empty
    /// `mount` is none.
    ///
    /// # Errors
    ///
    /// `DigestInvalid` when the digest is malformed.
    pub fn mount(&self) -> Result<Option<(Digest, Option<RepositoryName>)>> {
        let Some(digest) = self.first("mount").filter(|digest| !digest.is_empty()) else {
            return Ok(None);
        };
        let digest = Digest::parse(digest)?;
        match self.first("from").filter(|from| !from.is_empty()) {
            None => Ok(Some((digest, None))),
            Some(from) => Ok(from.parse().ok().map(|from| (digest, Some(from)))),
        }
    }

    /// Every `tag` (end-7b).
    ///
    /// # Errors
    ///
    /// `TagInvalid` when one is malformed, `UriTooLong` when there are more than
    /// [`MAX_TAGS`](Self::MAX_TAGS).
    pub fn tags(&self) -> Result<Vec<Tag>> {
        if self.all("tag").count() > Self::MAX_TAGS {
            let message = format!("a push sets at most {} tags", Self::MAX_TAGS);
            return Err(Error::new(ErrorCode::UriTooLong, message));
        }
        self.all("tag").map(|tag| Ok(Tag::parse(tag)?)).collect()
    }

    /// A value, escaped for a query.
    pub fn escape(value: &str) -> String {
        utf8_percent_encode(value, ESCAPED).to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(text: &str) -> Result<Page, ErrorCode> {
        Query::parse(text)
            .page(PageSize::new(100, 1000))
            .map_err(|error| error.code())
    }

    #[test]
    fn pages() {
        for (text, limit) in [
            ("", 100),
            ("n=", 100),
            ("n=0", 0),
            ("n=7", 7),
            ("n=1000", 1000),
            ("n=1001", 1000),
            ("n=9223372036854775808", 1000),
            ("n=99999999999999999999999999", 1000),
        ] {
            assert_eq!(page(text), Ok(Page::first(limit)), "{text}");
        }
        assert_eq!(page("n=2&last=a%2Fb"), Ok(Page::first(2).after("a/b")));
        // Behind all that is there, as in bytes.
        assert_eq!(page("n=2&last=%ff"), Ok(Page::first(2).after("\u{fffd}")));
        let all = PageSize::new(usize::MAX, 10);
        assert_eq!(Query::parse("").page(all).unwrap(), Page::first(usize::MAX));
        assert_eq!(Query::parse("n=11").page(all).unwrap(), Page::first(10));
        for bad in ["n=-1", "n=x", "n=1.5", "n=%20", "n=+1"] {
            assert_eq!(page(bad), Err(ErrorCode::PaginationNumberInvalid), "{bad}");
        }
    }

    #[test]
    fn digests_mounts_and_tags() {
        let d = format!("sha256:{}", "a".repeat(64));
        let query = |text: String| Query::parse(&text);
        let digest = Digest::parse(&d).unwrap();
        assert_eq!(
            query(format!("digest={d}")).digest().unwrap(),
            Some(digest.clone())
        );
        assert_eq!(
            query("digest=x".into()).digest().unwrap_err().code(),
            ErrorCode::DigestInvalid
        );
        assert_eq!(
            query(format!("mount={d}")).mount().unwrap(),
            Some((digest.clone(), None))
        );
        let from = Some("b".parse().unwrap());
        assert_eq!(
            query(format!("mount={d}&from=b")).mount().unwrap(),
            Some((digest, from))
        );
        assert_eq!(query(format!("mount={d}&from=B")).mount().unwrap(), None);
        assert_eq!(query("mount=&from=b".into()).mount().unwrap(), None);
        for wrong in ["mount=x", "mount=%ff"] {
            let error = query(wrong.into()).mount().unwrap_err();
            assert_eq!(error.code(), ErrorCode::DigestInvalid, "{wrong}");
        }
        assert_eq!(
            query("digest-algorithm=sha512".into())
                .digest_algorithm()
                .unwrap(),
            Some(Algorithm::Sha512)
        );
        assert!(
            query("digest-algorithm=md5".into())
                .digest_algorithm()
                .is_err()
        );
        assert_eq!(query("tag=a&x=y&tag=b".into()).tags().unwrap().len(), 2);
        assert_eq!(
            query("tag=a&tag=.".into()).tags().unwrap_err().code(),
            ErrorCode::TagInvalid
        );
        assert!(query("tag=a&tag=%ff".into()).tags().is_err());
        let many = vec!["tag=a"; 65].join("&");
        assert_eq!(
            query(many).tags().unwrap_err().code(),
            ErrorCode::UriTooLong
        );
        assert_eq!(
            Query::parse("artifactType=a/b+json").first("artifactType"),
            Some("a/b+json")
        );
    }

    proptest! {
        #[test]
        fn escaped_values_come_back(value in "\\PC{0,30}") {
            let query = Query::parse(&format!("a=1&v={}&b", Query::escape(&value)));
            prop_assert_eq!(query.first("v"), Some(value.as_str()));
        }
    }
}
