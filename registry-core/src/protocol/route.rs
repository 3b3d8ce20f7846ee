//! Paths of the API, both ways.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::{
    access::{Access, Action, Resource},
    digest::Digest,
    error::{Error, ErrorCode, Result},
    name::RepositoryName,
    reference::{InvalidReference, Reference},
    store::UploadId,
};

/// What a path names. Names may contain slashes and even the words of the API, so paths are read
/// from their end: in `/v2/a/blobs/manifests/x` the repository is `a/blobs`.
///
/// ```
/// use registry_core::protocol::Route;
///
/// let route = Route::parse(&http::Method::GET, "/v2/library/alpine/tags/list")?;
/// assert_eq!(route.path(), "/v2/library/alpine/tags/list");
/// # Ok::<(), registry_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// `/v2/` (end-1).
    Base,
    /// `/v2/_catalog` (Distribution's).
    Catalog,
    /// `/v2/<name>/tags/list` (end-8).
    Tags(RepositoryName),
    /// `/v2/<name>/referrers/<digest>` (end-12).
    Referrers(RepositoryName, Digest),
    /// `/v2/<name>/manifests/<reference>` (end-3, 7, 9).
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>` (end-2, 10).
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/` (end-4, 11).
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>` (end-5, 6, 13, 14).
    Upload(RepositoryName, UploadId),
}

impl Route {
    /// The longest path that is read, in bytes: the longest name and reference, percent-encoded.
    pub const MAX_PATH: usize = 4096;

    /// Reads a path, which begins with `/v2`. Segments are percent-decoded once; a slash that comes
    /// of that does not separate anything. One trailing slash does not matter.
    ///
    /// The method matters for manifests only: a malformed tag is unknown to whoever reads or deletes
    /// it, and invalid to whoever writes it.
    ///
    /// # Errors
    ///
    /// `NotFound` for what is no path of the API; `NameInvalid`, `DigestInvalid`, `TagInvalid`,
    /// `ManifestUnknown`, `BlobUploadUnknown` for what is malformed in one; `UriTooLong`.
    pub fn parse(method: &Method, path: &str) -> Result<Self> {
        if path.len() > Self::MAX_PATH {
            return Err(Error::new(ErrorCode::UriTooLong, "the path is too long"));
        }
        let rest = path.strip_prefix("/v2").ok_or_else(not_found)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Ok(Self::Base);
        }
        let rest = rest.strip_prefix('/').ok_or_else(not_found)?;
        let segments = rest.split('/').map(decoded).collect::<Result<Vec<_>>>()?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match segments.as_slice() {
            ["_catalog"] => Ok(Self::Catalog),
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "blobs", "uploads"] => Ok(Self::Uploads(repository(name)?)),
            [name @ .., "blobs", "uploads", id] => {
                let name = repository(name)?;
                let id = UploadId::parse(id).map_err(|_| crate::upload::unknown())?;
                Ok(Self::Upload(name, id))
            }
            [name @ .., "blobs", digest] => {
                Ok(Self::Blob(repository(name)?, Digest::parse(digest)?))
            }
            [name @ .., "referrers", digest] => {
                Ok(Self::Referrers(repository(name)?, Digest::parse(digest)?))
            }
            [name @ .., "manifests", reference] => {
                let name = repository(name)?;
                let reference = Reference::parse(reference).map_err(|invalid| match invalid {
                    InvalidReference::Tag(_) if *method != Method::PUT => {
                        let message = "the manifest is not in this repository";
                        Error::new(ErrorCode::ManifestUnknown, message)
                    }
                    invalid => invalid.into(),
                })?;
                Ok(Self::Manifest(name, reference))
            }
            _ => Err(not_found()),
        }
    }

    /// The path of this route; its inverse is [`parse`](Self::parse).
    pub fn path(&self) -> String {
        match self {
            Self::Base => "/v2/".to_owned(),
            Self::Catalog => "/v2/_catalog".to_owned(),
            Self::Tags(name) => format!("/v2/{name}/tags/list"),
            Self::Referrers(name, digest) => format!("/v2/{name}/referrers/{digest}"),
            Self::Manifest(name, reference) => format!("/v2/{name}/manifests/{reference}"),
            Self::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
            Self::Uploads(name) => format!("/v2/{name}/blobs/uploads/"),
            Self::Upload(name, id) => format!("/v2/{name}/blobs/uploads/{id}"),
        }
    }

    /// The methods it takes, as an `Allow` header says them.
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Tags(_) | Self::Referrers(..) => "GET, HEAD",
            Self::Manifest(..) => "GET, HEAD, PUT, DELETE",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
        }
    }

    /// Whether it takes that method.
    pub fn allows(&self, method: &Method) -> bool {
        self.allow()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
    }

    /// What a request needs to be permitted, for a challenge. Cancelling an upload needs what
    /// writing it does; a mount adds its source.
    pub fn access(&self, method: &Method, from: Option<&RepositoryName>) -> Vec<Access> {
        let actions: &[Action] = match *method {
            Method::GET | Method::HEAD => &[Action::Pull],
            Method::DELETE if !matches!(self, Self::Upload(..)) => &[Action::Delete],
            _ => &[Action::Pull, Action::Push],
        };
        let name = match self {
            Self::Base => return Vec::new(),
            Self::Catalog => return vec![Access::new(Resource::Catalog, [Action::Pull])],
            Self::Tags(name)
            | Self::Referrers(name, _)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _) => name,
        };
        let mut wanted = vec![Access::repository(name, actions)];
        wanted.extend(from.map(|from| Access::repository(from, [Action::Pull])));
        wanted
    }
}

fn decoded(segment: &str) -> Result<Cow<'_, str>> {
    let invalid = || {
        Error::new(
            ErrorCode::NameInvalid,
            "the path has characters that no name has",
        )
    };
    let text = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| invalid())?;
    if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
        return Err(invalid());
    }
    Ok(text)
}

fn repository(segments: &[&str]) -> Result<RepositoryName> {
    Ok(RepositoryName::parse(&segments.join("/"))?)
}

fn not_found() -> Error {
    Error::new(ErrorCode::NotFound, "this is no end-point of the API")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const D: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    fn code(method: &Method, path: &str) -> ErrorCode {
        Route::parse(method, path).unwrap_err().code()
    }

    #[test]
    fn paths() {
        let digest = Digest::parse(D).unwrap();
        let id = UploadId::parse("0-1").unwrap();
        let table = [
            ("/v2".to_owned(), Route::Base),
            ("/v2/".to_owned(), Route::Base),
            ("/v2/_catalog/".to_owned(), Route::Catalog),
            ("/v2/a/tags/list".to_owned(), Route::Tags(name("a"))),
            (
                "/v2/a/tags/tags/list".to_owned(),
                Route::Tags(name("a/tags")),
            ),
            ("/v2/a/blobs/uploads".to_owned(), Route::Uploads(name("a"))),
            (
                "/v2/a/b/blobs/uploads/".to_owned(),
                Route::Uploads(name("a/b")),
            ),
            (
                "/v2/a/blobs/uploads/0-1".to_owned(),
                Route::Upload(name("a"), id.clone()),
            ),
            (
                "/v2/a/blobs/uploads/blobs/uploads/0-1".to_owned(),
                Route::Upload(name("a/blobs/uploads"), id),
            ),
            (
                format!("/v2/a/blobs/{D}"),
                Route::Blob(name("a"), digest.clone()),
            ),
            (
                format!("/v2/blobs/blobs/{D}/"),
                Route::Blob(name("blobs"), digest.clone()),
            ),
            (
                format!("/v2/a/blobs/{}", D.replace(':', "%3A")),
                Route::Blob(name("a"), digest.clone()),
            ),
            (
                format!("/v2/a/referrers/{D}"),
                Route::Referrers(name("a"), digest.clone()),
            ),
            (
                format!("/v2/a/manifests/{D}"),
                Route::Manifest(name("a"), digest.into()),
            ),
        ];
        for (path, route) in table {
            assert_eq!(Route::parse(&Method::GET, &path).unwrap(), route, "{path}");
        }
    }

    #[test]
    fn refusals() {
        use ErrorCode as E;
        let get = &Method::GET;
        for (path, expected) in [
            ("/v2x", E::NotFound),
            ("/v2/a", E::NotFound),
            ("/v2/a/tags", E::NotFound),
            ("/v2/a/nonsense/x", E::NotFound),
            ("/v2/A/tags/list", E::NameInvalid),
            ("/v2/tags/list", E::NameInvalid),
            ("/v2//tags/list", E::NameInvalid),
            ("/v2/a/../b/tags/list", E::NameInvalid),
            ("/v2/a/%2e%2e/tags/list", E::NameInvalid),
            ("/v2/a%2fb/tags/list", E::NameInvalid),
            ("/v2/a%00/tags/list", E::NameInvalid),
            ("/v2/a%ff/tags/list", E::NameInvalid),
            ("/v2/a%252e/tags/list", E::NameInvalid),
            ("/v2/a/blobs/nonsense", E::DigestInvalid),
            ("/v2/a/manifests/sha256:x", E::DigestInvalid),
            ("/v2/a/manifests/.x", E::ManifestUnknown),
            ("/v2/a/blobs/uploads/..", E::BlobUploadUnknown),
        ] {
            assert_eq!(code(get, path), expected, "{path}");
        }
        assert_eq!(code(&Method::PUT, "/v2/a/manifests/.x"), E::TagInvalid);
        assert_eq!(
            code(get, &format!("/v2/{}", "a/".repeat(3000))),
            E::UriTooLong
        );
    }

    #[test]
    fn methods_and_what_they_need() {
        let route = Route::parse(&Method::DELETE, "/v2/a/blobs/uploads/0-1").unwrap();
        assert!(route.allows(&Method::DELETE) && !route.allows(&Method::POST));
        let push = vec![Access::repository(&name("a"), [Action::Pull, Action::Push])];
        assert_eq!(route.access(&Method::DELETE, None), push);
        let route = Route::Tags(name("a"));
        assert_eq!(
            route.access(&Method::GET, None),
            [Access::repository(&name("a"), [Action::Pull])]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(path in "/v2(/[a-z%.:/0-9]{0,12}){0,5}") {
            if let Ok(route) = Route::parse(&Method::GET, &path) {
                prop_assert_eq!(Route::parse(&Method::GET, &route.path()).unwrap(), route);
            }
        }

        #[test]
        fn routes_round_trip(
            text in "(a|blobs|uploads|tags|list|manifests|referrers)(/(a|blobs|uploads|tags|list|manifests|referrers)){0,4}",
            tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}",
            which in 0usize..6,
        ) {
            let name = name(&text);
            let digest = Digest::parse(D).unwrap();
            let route = match which {
                0 => Route::Tags(name),
                1 => Route::Referrers(name, digest),
                2 => Route::Manifest(name, Reference::parse(&tag).unwrap()),
                3 => Route::Blob(name, digest),
                4 => Route::Uploads(name),
                _ => Route::Upload(name, UploadId::parse("0-1").unwrap()),
            };
            prop_assert_eq!(Route::parse(&Method::GET, &route.path()).unwrap(), route);
        }
    }
}
