//! What an operator decides about the content of manifests.

use std::{fmt, sync::Arc};

use crate::manifest::{Child, Document, Platform};

/// Which references of a manifest must be there when it is pushed.
///
/// What is checked must be in the same repository: the config and the distributable layers of an
/// image, the manifests of an index. A subject need never exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferencePolicy {
    /// All of them.
    #[default]
    Everything,
    /// Those of images, but not those of indexes (Distribution's
    /// `validation.manifests.indexes.platforms: none`).
    Images,
    /// None at all.
    Nothing,
    /// Those of images, and of indexes the manifests for these platforms
    /// (`validation.manifests.indexes.platforms: list`).
    Platforms(Vec<Platform>),
}

impl ReferencePolicy {
    /// Whether the references of images are checked.
    pub fn checks_images(&self) -> bool {
        *self != Self::Nothing
    }

    /// Whether this child of an index is checked.
    pub fn checks_child(&self, child: &Child) -> bool {
        match self {
            Self::Everything => true,
            Self::Images | Self::Nothing => false,
            Self::Platforms(platforms) => child
                .platform
                .as_ref()
                .is_some_and(|platform| platforms.contains(platform)),
        }
    }
}

/// Which `urls` the layers of a manifest may have: a decision on each.
///
/// ```
/// use registry_core::engine::UrlPolicy;
///
/// let ours = UrlPolicy::new(|url| url.starts_with("https://mirror.example/"));
/// assert!(ours.allows("https://mirror.example/layer") && !ours.allows("ftp://elsewhere"));
/// assert!(UrlPolicy::default().allows("ftp://elsewhere"));
/// ```
#[derive(Clone)]
pub struct UrlPolicy(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl UrlPolicy {
    /// Those for which `allow` says so.
    pub fn new(allow: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allow))
    }

    /// Whether a URL may stand in a manifest.
    pub fn allows(&self, url: &str) -> bool {
        (self.0)(url)
    }
}

impl Default for UrlPolicy {
    fn default() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for UrlPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlPolicy(…)")
    }
}

/// Which manifests may be pushed at all, beside what the specification says.
///
/// ```
/// use registry_core::engine::ManifestPolicy;
///
/// let no_indexes = ManifestPolicy::new(|document| match document.manifests.is_empty() {
///     true => Ok(()),
///     false => Err("this registry takes single images".to_owned()),
/// });
/// ```
#[derive(Clone)]
#[expect(clippy::type_complexity, reason = "it is written once")]
pub struct ManifestPolicy(Arc<dyn Fn(&Document) -> Result<(), String> + Send + Sync>);

impl ManifestPolicy {
    /// Those that `admit` admits; for the others it says why not, for the client to read.
    pub fn new(admit: impl Fn(&Document) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(admit))
    }

    /// Whether a manifest may be pushed.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn admit(&self, document: &Document) -> Result<(), String> {
        (self.0)(document)
    }
}

impl Default for ManifestPolicy {
    fn default() -> Self {
        Self::new(|_| Ok(()))
    }
}

impl fmt::Debug for ManifestPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManifestPolicy(…)")
    }
}
