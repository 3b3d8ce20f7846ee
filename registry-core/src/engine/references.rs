//! Whether what a manifest refers to is there.
//!
//! An index may list blobs as well as manifests: build caches are pushed so, and Distribution takes
//! them. A child that does not say it is a manifest may therefore be a linked blob.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use serde_json::Value;

use super::Inner;
use crate::{
    digest::Digest,
    error::{Error, ErrorCode, Result},
    manifest::{Child, Document},
    media_type::TypeName,
    name::RepositoryName,
};

/// How many references are looked up at the same time.
const AT_ONCE: usize = 8;

/// What a child must be in this repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Blob,
    Either,
    Manifest,
}

impl Inner {
    /// Fails with all that is missing.
    pub(super) async fn check_references(
        &self,
        repository: &RepositoryName,
        document: &Document,
    ) -> Result<()> {
        let lookups: Vec<BoxFuture<'_, Result<Option<&Digest>>>> = self
            .wanted(document)
            .into_iter()
            .map(|(digest, wanted)| {
                let lookup: BoxFuture<'_, _> = Box::pin(async move {
                    let there = self.is_there(repository, digest, wanted).await?;
                    Ok((!there).then_some(digest))
                });
                lookup
            })
            .collect();
        let missing: Vec<_> = stream::iter(lookups)
            .buffered(AT_ONCE)
            .try_filter_map(|missing| async move { Ok(missing) })
            .try_collect()
            .await?;
        if missing.is_empty() {
            return Ok(());
        }
        let digests = missing.iter().map(|digest| Value::from(digest.as_str()));
        Err(Error::new(
            ErrorCode::ManifestBlobUnknown,
            "the manifest refers to what is not in this repository",
        )
        .detail(digests.collect::<Vec<_>>()))
    }

    /// What must be there, each digest once.
    fn wanted<'a>(&self, document: &'a Document) -> BTreeMap<&'a Digest, Wanted> {
        let mut wanted = BTreeMap::new();
        if self.references.checks_images() {
            // A config is no layer: whatever it calls itself, it must be there.
            let layers = document
                .layers
                .iter()
                .filter(|layer| layer.is_distributable());
            for child in document.config.iter().chain(layers) {
                wanted.insert(&child.digest, Wanted::Blob);
            }
        }
        for child in &document.manifests {
            if self.references.checks_child(child) {
                let strictest = wanted.entry(&child.digest).or_insert(Wanted::Blob);
                *strictest = (*strictest).max(of_index(child));
            }
        }
        wanted
    }

    async fn is_there(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        wanted: Wanted,
    ) -> Result<bool> {
        if wanted != Wanted::Blob && self.metadata.manifest(repository, digest).await?.is_some() {
            return Ok(true);
        }
        Ok(wanted != Wanted::Manifest
            && self.metadata.blob_link(repository, digest).await?.is_some())
    }
}

fn of_index(child: &Child) -> Wanted {
    let media_type = child.media_type.as_ref();
    if media_type.and_then(TypeName::manifest_kind).is_some() {
        Wanted::Manifest
    } else {
        Wanted::Either
    }
}
