//! Manifests: the documents that make images and artifacts of blobs.
//!
//! A [`Document`] is read from the bytes of a manifest and tells what it refers to. The bytes
//! themselves are never changed: what is stored and served is what was pushed.
//!
//! The rules are image-spec's ("Image Manifest", "Image Index") and those of Docker's schema 2. A
//! document with both `layers` (or `config`) and `manifests` is refused: two readers could take it
//! for two different things.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode},
    media_type::{ManifestKind, MediaType},
};

/// How much a manifest may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes. Default: 4 MiB, the least that distribution-spec asks registries to take.
    pub size: usize,
    /// The most descriptors that it may refer to. Default: 10,000.
    pub references: usize,
    /// How deep its JSON may nest. Default: 64. It cannot be more than 127.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 4 << 20,
            references: 10_000,
            depth: 64,
        }
    }
}

/// What a manifest says.
///
/// ```
/// use registry_core::manifest::{Document, Limits};
///
/// let bytes = br#"{"schemaVersion": 2, "manifests": []}"#;
/// let document = Document::parse(bytes, None, &Limits::default())?;
/// assert_eq!(document.media_type.as_str(), "application/vnd.oci.image.index.v1+json");
/// # Ok::<(), registry_core::manifest::InvalidManifest>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// Its media type.
    pub media_type: MediaType,
    /// Whether it is an image manifest or an index.
    pub kind: ManifestKind,
    /// The config of an image manifest.
    pub config: Option<Child>,
    /// The layers of an image manifest.
    pub layers: Vec<Child>,
    /// The manifests of an index.
    pub manifests: Vec<Child>,
    /// The manifest that this one is about.
    pub subject: Option<Child>,
    /// Its artifact type, as it says so itself.
    pub artifact_type: Option<MediaType>,
    /// Its annotations.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Something that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Child {
    /// Its media type.
    #[serde(default)]
    pub media_type: Option<MediaType>,
    /// Its digest.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Where else its bytes can be had.
    #[serde(default)]
    pub urls: Option<Vec<String>>,
    /// The platform it runs on, in an index.
    #[serde(default)]
    pub platform: Option<Platform>,
}

impl Child {
    /// Whether a registry must hold its bytes. Those of non-distributable layers may be elsewhere.
    pub fn is_distributable(&self) -> bool {
        !self
            .media_type
            .as_ref()
            .is_some_and(MediaType::is_nondistributable)
    }
}

/// A platform (image-spec, "Image Index", `platform`), as far as a registry looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Platform {
    /// The processor's architecture, by Go's name for it.
    #[serde(default)]
    pub architecture: String,
    /// The operating system, by Go's name for it.
    #[serde(default)]
    pub os: String,
}

impl Platform {
    /// That operating system on that architecture.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            architecture: architecture.into(),
            os: os.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    config: Option<Child>,
    #[serde(default)]
    layers: Option<Vec<Child>>,
    #[serde(default)]
    manifests: Option<Vec<Child>>,
    #[serde(default)]
    subject: Option<Child>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads a manifest. `declared` is the media type it was sent as; without one, the document's
    /// own counts, and without that its shape.
    ///
    /// # Errors
    ///
    /// [`InvalidManifest`] says what is wrong with it.
    pub fn parse(
        bytes: &[u8],
        declared: Option<&MediaType>,
        limits: &Limits,
    ) -> Result<Self, InvalidManifest> {
        if bytes.len() > limits.size {
            return Err(InvalidManifest::TooLarge { limit: limits.size });
        }
        if nesting(bytes) > limits.depth {
            return Err(InvalidManifest::TooDeep {
                limit: limits.depth,
            });
        }
        let raw: Raw = serde_json::from_slice(bytes)?;
        if raw.schema_version != Some(2) {
            return Err(InvalidManifest::SchemaVersion);
        }
        let image = raw.layers.is_some() || raw.config.is_some();
        let index = raw.manifests.is_some();
        if image && index {
            return Err(InvalidManifest::Ambiguous);
        }
        let shape = if index {
            MediaType::oci_index()
        } else {
            MediaType::oci_manifest()
        };
        let media_type = match (declared, raw.media_type) {
            (Some(declared), Some(own)) if *declared != own => {
                return Err(InvalidManifest::MediaTypeMismatch {
                    declared: declared.clone(),
                    own,
                });
            }
            (Some(declared), _) => declared.clone(),
            (None, Some(own)) => own,
            (None, None) => shape,
        };
        let kind = media_type
            .manifest_kind()
            .ok_or_else(|| InvalidManifest::UnknownMediaType(media_type.clone()))?;
        match kind {
            ManifestKind::Image if index || raw.config.is_none() => {
                return Err(InvalidManifest::Shape {
                    media_type,
                    wants: "a config and layers",
                });
            }
            ManifestKind::Index if !index => {
                return Err(InvalidManifest::Shape {
                    media_type,
                    wants: "manifests",
                });
            }
            ManifestKind::Image | ManifestKind::Index => {}
        }
        let document = Self {
            artifact_type: raw
                .artifact_type
                .filter(|text| !text.is_empty())
                .map(|text| MediaType::parse(&text).map_err(|_| InvalidManifest::ArtifactType))
                .transpose()?,
            media_type,
            kind,
            config: raw.config,
            layers: raw.layers.unwrap_or_default(),
            manifests: raw.manifests.unwrap_or_default(),
            subject: raw.subject,
            annotations: raw.annotations,
        };
        if document.children().count() > limits.references {
            return Err(InvalidManifest::TooManyReferences {
                limit: limits.references,
            });
        }
        Ok(document)
    }

    /// Everything that must be there for the manifest to be of use: config, layers, manifests; not
    /// the subject.
    pub fn children(&self) -> impl Iterator<Item = &Child> {
        self.config
            .iter()
            .chain(&self.layers)
            .chain(&self.manifests)
    }

    /// The blobs among its children.
    pub fn blobs(&self) -> impl Iterator<Item = &Child> {
        self.config.iter().chain(&self.layers)
    }

    /// The artifact type under which it is listed as a referrer: its own, else, for an image
    /// manifest, the media type of its config (distribution-spec, "Listing Referrers").
    pub fn referrer_type(&self) -> Option<MediaType> {
        let config = || self.config.as_ref()?.media_type.clone();
        self.artifact_type.clone().or_else(config)
    }

    /// The descriptor of this document, as it stands in a list of referrers.
    pub fn descriptor(&self, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            artifact_type: self.referrer_type(),
            annotations: self.annotations.clone(),
            ..Descriptor::new(self.media_type.clone(), digest, size)
        }
    }
}

/// How deep the brackets of a JSON text nest, without parsing it.
fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut string, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            b'{' | b'[' if !string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidManifest {
    /// It has both the members of an image manifest and those of an index.
    #[error("a manifest has config and layers, or manifests, not both")]
    Ambiguous,
    /// Its artifact type is no media type.
    #[error("the artifactType is not a media type")]
    ArtifactType,
    /// It is not the JSON of a manifest.
    #[error("the manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It was sent as something else than it says it is.
    #[error("the manifest was sent as {declared}, but says that it is {own}")]
    MediaTypeMismatch {
        /// What it was sent as.
        declared: MediaType,
        /// What it says.
        own: MediaType,
    },
    /// Its schema version is not 2.
    #[error("the schemaVersion of a manifest is 2")]
    SchemaVersion,
    /// It has not the members of its media type.
    #[error("a manifest of type {media_type} has {wants}")]
    Shape {
        /// Its media type.
        media_type: MediaType,
        /// What it should have.
        wants: &'static str,
    },
    /// It nests too deep.
    #[error("a manifest nests at most {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// It has too many bytes.
    #[error("a manifest has at most {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It refers to too much.
    #[error("a manifest refers to at most {limit} others")]
    TooManyReferences {
        /// The limit.
        limit: usize,
    },
    /// It is of a type that this registry does not know.
    #[error("{0} is not the type of a manifest that this registry takes")]
    UnknownMediaType(MediaType),
}

impl From<InvalidManifest> for Error {
    fn from(error: InvalidManifest) -> Self {
        let code = match error {
            InvalidManifest::TooLarge { .. } => ErrorCode::TooLarge,
            _ => ErrorCode::ManifestInvalid,
        };
        Self::new(code, error.to_string())
    }
}
