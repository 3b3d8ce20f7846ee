//! Manifests: blobs that a repository links as revisions.
//!
//! Those that were read are remembered, up to a bound in bytes: content never changes under its
//! digest. Whether a repository links it is looked up each time.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use registry_core::{
    Descriptor, Digest,
    manifest::{Document, Limits, stored_media_type},
    store::{StoreError, StoredManifest},
};

use super::{failed, small::is_absence};
use crate::layout::Layout;

/// How many bytes of manifests are remembered.
const REMEMBERED: usize = 32 << 20;

/// The most bytes that are read as a manifest: more than any registry takes as one.
const LARGEST: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Manifests {
    layout: Arc<Layout>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    manifests: HashMap<Digest, StoredManifest>,
    bytes: usize,
}

/// What is left of the limits for a document that some registry took: only its size is bounded.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.size = usize::try_from(LARGEST).unwrap_or(usize::MAX);
    limits.references = usize::MAX;
    limits
}

impl Manifests {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            known: Mutex::default(),
        }
    }

    /// A manifest that was read before.
    pub(super) fn known(&self, digest: &Digest) -> Option<StoredManifest> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.manifests.get(digest).cloned()
    }

    pub(super) fn remember(&self, digest: &Digest, manifest: StoredManifest) {
        let size = manifest.bytes.len() + 512;
        if size > REMEMBERED / 8 {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.bytes + size > REMEMBERED {
            *known = Known::default();
        }
        if known.manifests.insert(digest.clone(), manifest).is_none() {
            known.bytes += size;
        }
    }

    /// The manifest `digest`, whose bytes are the blob `target`.
    pub(super) fn read(
        &self,
        digest: &Digest,
        target: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        if let Some(known) = self.known(digest) {
            return Ok(Some(known));
        }
        let path = self.layout.blob(target);
        let cannot = "a manifest cannot be read";
        let bytes = match fs::metadata(&path) {
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(failed(cannot)(error)),
            Ok(metadata) if !metadata.is_file() || metadata.len() > LARGEST => return Ok(None),
            Ok(_) => Bytes::from(fs::read(&path).map_err(failed(cannot))?),
        };
        let algorithm = target.content_algorithm();
        if algorithm.is_none_or(|algorithm| algorithm.digest(&bytes) != *target) {
            return Err(StoreError::corrupt(format!(
                "the bytes of the manifest {target} are others"
            )));
        }
        let Some(media_type) = stored_media_type(&bytes, &limits()) else {
            tracing::warn!(%digest, "a revision that is no manifest of schema version 2 is skipped");
            return Ok(None);
        };
        let size = bytes.len() as u64;
        let descriptor = Descriptor::new(media_type, digest.clone(), size);
        let manifest = StoredManifest::new(descriptor, bytes);
        self.remember(digest, manifest.clone());
        Ok(Some(manifest))
    }
}

/// What a manifest is about, and the descriptor it is listed with; `None` when it has no subject.
pub(super) fn referrer(manifest: &StoredManifest) -> Option<(Digest, Descriptor)> {
    let declared = Some(&manifest.descriptor.media_type);
    let document = Document::parse(&manifest.bytes, declared, &limits()).ok()?;
    let subject = document.subject.as_ref()?.digest.clone();
    let Descriptor { digest, size, .. } = manifest.descriptor.clone();
    Some((subject, document.descriptor(digest, size)))
}
