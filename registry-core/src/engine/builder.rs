//! How an engine is put together: two stores, without which there is none, and what may be changed.

use std::{sync::Arc, time::Duration};

use super::{
    Engine, Inner, Limits, ManifestPolicy, ReferencePolicy, UrlPolicy, sessions::Sessions,
    sightings::Sightings,
};
use crate::{
    clock::{Clock, SystemClock},
    entropy::{Entropy, SystemEntropy},
    store::{BlobStore, MetadataStore},
};

/// Puts an [`Engine`] together. `build` exists only once both stores are given.
#[derive(Clone, Debug)]
#[must_use]
pub struct EngineBuilder<B = Missing, M = Missing> {
    blobs: B,
    metadata: M,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    deletes: bool,
    limits: Limits,
    references: ReferencePolicy,
    redirects: Option<Duration>,
    urls: UrlPolicy,
    manifests: ManifestPolicy,
}

/// A store that was not given yet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Missing;

impl EngineBuilder {
    pub(super) fn new() -> Self {
        Self {
            blobs: Missing,
            metadata: Missing,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            deletes: true,
            limits: Limits::default(),
            references: ReferencePolicy::default(),
            redirects: None,
            urls: UrlPolicy::default(),
            manifests: ManifestPolicy::default(),
        }
    }
}

impl<B, M> EngineBuilder<B, M> {
    /// Where the blobs are.
    pub fn blobs(self, blobs: Arc<dyn BlobStore>) -> EngineBuilder<Arc<dyn BlobStore>, M> {
        EngineBuilder {
            blobs,
            metadata: self.metadata,
            clock: self.clock,
            entropy: self.entropy,
            deletes: self.deletes,
            limits: self.limits,
            references: self.references,
            redirects: self.redirects,
            urls: self.urls,
            manifests: self.manifests,
        }
    }

    /// Where the records are.
    pub fn metadata(
        self,
        metadata: Arc<dyn MetadataStore>,
    ) -> EngineBuilder<B, Arc<dyn MetadataStore>> {
        EngineBuilder {
            blobs: self.blobs,
            metadata,
            clock: self.clock,
            entropy: self.entropy,
            deletes: self.deletes,
            limits: self.limits,
            references: self.references,
            redirects: self.redirects,
            urls: self.urls,
            manifests: self.manifests,
        }
    }

    /// Whether manifests, tags and blobs can be deleted. Cancelling an upload is no delete.
    /// Default: true.
    pub fn deletes(self, deletes: bool) -> Self {
        Self { deletes, ..self }
    }

    /// How much of everything there may be.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Which references of a manifest must be there when it is pushed. Default: all of them.
    pub fn references(self, references: ReferencePolicy) -> Self {
        Self { references, ..self }
    }

    /// Where the time comes from. Default: the system's clock.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Where the identifiers of uploads come from. Default: the system's randomness.
    pub fn entropy(self, entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, ..self }
    }

    /// Sends readers of blobs to the store itself where it can be reached, by URLs that are good for
    /// at least so long. Default: `None`, every byte passes through here.
    pub fn redirects(self, lifetime: Option<Duration>) -> Self {
        Self {
            redirects: lifetime,
            ..self
        }
    }

    /// Which manifests may be pushed; the others are `Denied`. Default: all.
    pub fn manifests(self, manifests: ManifestPolicy) -> Self {
        Self { manifests, ..self }
    }

    /// Which `urls` a manifest may carry. Default: any.
    pub fn urls(self, urls: UrlPolicy) -> Self {
        Self { urls, ..self }
    }
}

impl EngineBuilder<Arc<dyn BlobStore>, Arc<dyn MetadataStore>> {
    /// The engine.
    #[must_use]
    pub fn build(self) -> Engine {
        Engine(Arc::new(Inner {
            blobs: self.blobs,
            metadata: self.metadata,
            clock: self.clock,
            entropy: self.entropy,
            deletes: self.deletes,
            sessions: Sessions::new(self.limits.open_uploads),
            limits: self.limits,
            references: self.references,
            redirects: self.redirects,
            urls: self.urls,
            manifests: self.manifests,
            sightings: Sightings::default(),
        }))
    }
}
