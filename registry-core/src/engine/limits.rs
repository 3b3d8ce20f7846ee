//! How much of everything an engine takes and gives.

use crate::manifest;

/// The limits of an engine. What is over one is refused, or comes in pages.
///
/// ```
/// use registry_core::engine::Limits;
///
/// let mut limits = Limits::default();
/// limits.blob_bytes = Some(10 << 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How much a manifest may be.
    pub manifest: manifest::Limits,
    /// The most bytes of a blob. Default: `None`, whatever the store takes.
    pub blob_bytes: Option<u64>,
    /// The most uploads that this process has begun and that are neither finished nor abandoned.
    /// Default: 10,000.
    pub open_uploads: usize,
    /// The most repositories on a page. Default: 10,000. Minimum: 1.
    pub repositories: usize,
    /// The most tags on a page. Default: 10,000. Minimum: 1.
    pub tags: usize,
    /// The most referrers on a page. Default: 10,000. Minimum: 1.
    pub referrers: usize,
    /// The most bytes of descriptors on a page of referrers; one descriptor is always sent.
    /// Default: 4 MiB, as much as clients read of a manifest.
    pub referrers_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: manifest::Limits::default(),
            blob_bytes: None,
            open_uploads: 10_000,
            repositories: 10_000,
            tags: 10_000,
            referrers: 10_000,
            referrers_bytes: 4 << 20,
        }
    }
}
