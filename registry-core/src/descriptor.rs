//! Descriptors: what a piece of content is, without its bytes (image-spec, "Descriptors").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    media_type::{MediaType, TypeName},
};

/// A typed pointer to content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// The type of the content.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What kind of artifact the content is, in a list of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<TypeName>,
    /// Annotations; in a list of referrers those of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// A descriptor with nothing optional.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            artifact_type: None,
            annotations: None,
        }
    }

    /// The descriptor of a blob.
    pub fn blob(digest: Digest, size: u64) -> Self {
        Self::new(MediaType::octet_stream(), digest, size)
    }
}
