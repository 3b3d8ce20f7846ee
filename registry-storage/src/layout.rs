//! The names of files: Distribution's `docker/registry/v2` tree, both ways. The only place that
//! builds or reads them.
//!
//! ```text
//! blobs/<algorithm>/<2 hex>/<hex>/data
//! repositories/<name>/_layers/<algorithm>/<hex>/link
//! repositories/<name>/_manifests/revisions/<algorithm>/<hex>/link
//! repositories/<name>/_manifests/tags/<tag>/current/link
//! repositories/<name>/_manifests/tags/<tag>/index/<algorithm>/<hex>/link
//! repositories/<name>/_uploads/<id>/{startedat,data}   and ours: state
//! repositories/<name>/_registry/lock                   ours
//! _registry/{catalog,tmp/}                             ours
//! ```
//!
//! A component of a repository's name never begins with `_`, so what does is a store's own.

use std::path::{Path, PathBuf};

use registry_core::{Digest, RepositoryName, Tag, store::UploadKey};

/// The directory of our own files, at the top and in each repository. Distribution skips it.
pub(crate) const OURS: &str = "_registry";

/// Where a repository links its blobs.
pub(crate) const LAYERS: &str = "_layers";

/// Where a repository links its manifests, and has its tags.
pub(crate) const MANIFESTS: &str = "_manifests";

/// The directory of tags, which Distribution removes with what lies in it.
pub(crate) const TAGS: &str = "tags";

/// Where a repository has its open uploads.
pub(crate) const UPLOADS: &str = "_uploads";

/// The file of an upload that says when it was begun.
pub(crate) const STARTED_AT: &str = "startedat";

/// The paths below a root directory (Distribution's `rootdirectory`).
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    v2: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            v2: root.join("docker/registry/v2"),
        }
    }

    pub(crate) fn top(&self) -> &Path {
        &self.v2
    }

    /// The directory that everything is below, which is the operator's.
    pub(crate) fn root(&self) -> PathBuf {
        let root = self.v2.ancestors().nth(3);
        root.unwrap_or(&self.v2).to_owned()
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.v2.join("blobs")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.encoded();
        let first = hex.get(..2).unwrap_or(hex);
        self.blobs()
            .join(digest.algorithm())
            .join(first)
            .join(hex)
            .join("data")
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.v2.join("repositories")
    }

    pub(crate) fn repository(&self, name: &RepositoryName) -> PathBuf {
        self.repositories().join(name.as_str())
    }

    pub(crate) fn layers(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join(LAYERS)
    }

    pub(crate) fn layer(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        link(&self.layers(name), digest)
    }

    pub(crate) fn manifests(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join(MANIFESTS)
    }

    pub(crate) fn revisions(&self, name: &RepositoryName) -> PathBuf {
        self.manifests(name).join("revisions")
    }

    pub(crate) fn revision(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        link(&self.revisions(name), digest)
    }

    pub(crate) fn tags(&self, name: &RepositoryName) -> PathBuf {
        self.manifests(name).join("tags")
    }

    pub(crate) fn tag(&self, name: &RepositoryName, tag: &Tag) -> PathBuf {
        self.tags(name).join(tag.as_str())
    }

    pub(crate) fn tag_current(&self, name: &RepositoryName, tag: &Tag) -> PathBuf {
        self.tag(name, tag).join("current/link")
    }

    pub(crate) fn tag_index(&self, name: &RepositoryName, tag: &Tag, digest: &Digest) -> PathBuf {
        link(&self.tag(name, tag).join("index"), digest)
    }

    pub(crate) fn uploads(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join(UPLOADS)
    }

    pub(crate) fn upload(&self, key: &UploadKey) -> PathBuf {
        self.uploads(&key.repository).join(key.id.as_str())
    }

    pub(crate) fn lock(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join(OURS).join("lock")
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.v2.join(OURS).join("catalog")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.v2.join(OURS).join("tmp")
    }
}

fn link(below: &Path, digest: &Digest) -> PathBuf {
    below
        .join(digest.algorithm())
        .join(digest.encoded())
        .join("link")
}

/// The digest of a link whose directories are `<algorithm>/<hex>`.
pub(crate) fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

/// What a link says. Writers put no newline behind it; readers do not mind one.
pub(crate) fn target(text: &[u8]) -> Option<Digest> {
    Digest::parse(std::str::from_utf8(text).ok()?.trim_end()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use registry_core::{Algorithm, store::UploadId};

    use super::*;

    #[test]
    fn the_tree_is_distributions() {
        let layout = Layout::new(Path::new("/r"));
        let name = RepositoryName::parse("a/b").unwrap();
        let tag = Tag::parse("v1").unwrap();
        let digest = Algorithm::Sha256.digest(b"");
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let v2 = "/r/docker/registry/v2";
        let repository = format!("{v2}/repositories/a/b");
        let manifests = format!("{repository}/_manifests");
        let key = UploadKey::new(name.clone(), UploadId::parse("u").unwrap());
        for (path, expected) in [
            (
                layout.blob(&digest),
                format!("{v2}/blobs/sha256/e3/{hex}/data"),
            ),
            (
                layout.layer(&name, &digest),
                format!("{repository}/_layers/sha256/{hex}/link"),
            ),
            (
                layout.revision(&name, &digest),
                format!("{manifests}/revisions/sha256/{hex}/link"),
            ),
            (
                layout.tag_current(&name, &tag),
                format!("{manifests}/tags/v1/current/link"),
            ),
            (
                layout.tag_index(&name, &tag, &digest),
                format!("{manifests}/tags/v1/index/sha256/{hex}/link"),
            ),
            (layout.upload(&key), format!("{repository}/_uploads/u")),
            (layout.lock(&name), format!("{repository}/_registry/lock")),
            (layout.catalog(), format!("{v2}/_registry/catalog")),
        ] {
            assert_eq!(path, Path::new(&expected));
        }
    }

    #[test]
    fn links() {
        let found = Algorithm::Sha512.digest(b"x");
        assert_eq!(target(found.as_str().as_bytes()), Some(found.clone()));
        assert_eq!(target(format!("{found}\n").as_bytes()), Some(found.clone()));
        assert_eq!(target(b""), None);
        assert_eq!(target(b"\xff"), None);
        assert_eq!(digest("sha512", found.encoded()), Some(found));
        assert_eq!(digest("sha512", ".."), None);
    }

    proptest! {
        #[test]
        fn paths_stay_below_the_root(name in "[a-z/._-]{1,20}", tag in "\\PC{1,10}", id in "\\PC{1,10}") {
            let layout = Layout::new(Path::new("/r"));
            let (Ok(name), Ok(tag), Ok(id)) =
                (RepositoryName::parse(&name), Tag::parse(&tag), UploadId::parse(&id)) else {
                return Ok(());
            };
            for path in [layout.tag(&name, &tag), layout.upload(&UploadKey::new(name, id))] {
                prop_assert!(path.starts_with("/r/docker/registry/v2/repositories"));
                prop_assert!(!path.components().any(|part| part == std::path::Component::ParentDir));
            }
        }
    }
}
