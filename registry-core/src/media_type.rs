//! Media types, without parameters.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A media type such as `application/vnd.oci.image.manifest.v1+json`: `type "/" subtype` in the
/// restricted names of RFC 6838 §4.2. Parameters (`; charset=utf-8`) are cut off by [`parse`].
///
/// [`parse`]: MediaType::parse
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// The longest media type that is taken, in bytes: two restricted names and a slash.
    pub const MAX_LENGTH: usize = 255;

    /// Parses a media type and drops its parameters.
    ///
    /// # Errors
    ///
    /// [`InvalidMediaType`] when what is left is no `type/subtype`.
    pub fn parse(text: &str) -> Result<Self, InvalidMediaType> {
        let essence = text
            .split_once(';')
            .map_or(text, |(essence, _)| essence)
            .trim();
        let name = |part: &str| {
            part.bytes()
                .next()
                .is_some_and(|b| b.is_ascii_alphanumeric())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let valid = essence.len() <= Self::MAX_LENGTH
            && essence
                .split_once('/')
                .is_some_and(|(kind, sub)| name(kind) && name(sub));
        if valid {
            Ok(Self(essence.into()))
        } else {
            Err(InvalidMediaType)
        }
    }

    fn known(text: &'static str) -> Self {
        Self(text.into())
    }

    /// `application/vnd.oci.image.manifest.v1+json`.
    pub fn oci_manifest() -> Self {
        Self::known(OCI_MANIFEST)
    }

    /// `application/vnd.oci.image.index.v1+json`.
    pub fn oci_index() -> Self {
        Self::known(OCI_INDEX)
    }

    /// `application/vnd.docker.distribution.manifest.v2+json`.
    pub fn docker_manifest() -> Self {
        Self::known(DOCKER_MANIFEST)
    }

    /// `application/vnd.docker.distribution.manifest.list.v2+json`.
    pub fn docker_list() -> Self {
        Self::known(DOCKER_LIST)
    }

    /// `application/octet-stream`, what every blob is served as.
    pub fn octet_stream() -> Self {
        Self::known(OCTET_STREAM)
    }

    /// The media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What kind of manifest it names, if it is one this registry knows.
    pub fn manifest_kind(&self) -> Option<ManifestKind> {
        manifest_kind(&self.0)
    }

    /// Whether a layer of this type may be kept elsewhere: image-spec's non-distributable layers
    /// and Docker's foreign ones. A registry need not hold their bytes.
    pub fn is_nondistributable(&self) -> bool {
        is_nondistributable(&self.0)
    }
}

fn manifest_kind(text: &str) -> Option<ManifestKind> {
    match text {
        OCI_MANIFEST | DOCKER_MANIFEST => Some(ManifestKind::Image),
        OCI_INDEX | DOCKER_LIST => Some(ManifestKind::Index),
        _ => None,
    }
}

fn is_nondistributable(text: &str) -> bool {
    text.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
        || text.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar")
}

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCTET_STREAM: &str = "application/octet-stream";

/// The two shapes of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "image-spec knows these two")]
pub enum ManifestKind {
    /// A config and layers: an OCI image manifest, a Docker schema 2 manifest.
    Image,
    /// A list of manifests: an OCI image index, a Docker manifest list.
    Index,
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaType({})", self.0)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        Self::parse(text)
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// The name of a type as a document gives it: its `artifactType`, the `mediaType` of what it refers
/// to. It is kept verbatim, parameters and all.
///
/// image-spec wants a media type there, but also that nobody refuses a type that they do not know;
/// artifacts whose types have parameters, or no slash, are about. What a registry answers with, as a
/// Content-Type, is a [`MediaType`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct TypeName(Arc<str>);

impl TypeName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What kind of manifest it names, if it is one this registry knows.
    pub fn manifest_kind(&self) -> Option<ManifestKind> {
        manifest_kind(&self.0)
    }

    /// Whether a layer of this type may be kept elsewhere: image-spec's non-distributable layers
    /// and Docker's foreign ones. A registry need not hold their bytes.
    pub fn is_nondistributable(&self) -> bool {
        is_nondistributable(&self.0)
    }
}

impl fmt::Debug for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeName({})", self.0)
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<MediaType> for TypeName {
    fn from(media_type: MediaType) -> Self {
        Self(media_type.0)
    }
}

impl From<&str> for TypeName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for TypeName {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<TypeName> for String {
    fn from(name: TypeName) -> Self {
        name.as_str().to_owned()
    }
}

/// A text that is no media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a media type is a type, a slash and a subtype")]
#[non_exhaustive]
pub struct InvalidMediaType;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_do_not_count() {
        let plain = MediaType::oci_manifest();
        for text in [
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            " application/vnd.oci.image.manifest.v1+json ;x=y",
        ] {
            assert_eq!(MediaType::parse(text), Ok(plain.clone()));
        }
        for bad in ["", "/", "a", "a/", "/b", "a/b/c", "a b/c", "a/\0"] {
            assert_eq!(MediaType::parse(bad), Err(InvalidMediaType), "{bad:?}");
        }
    }

    #[test]
    fn names_of_types_are_kept_verbatim() {
        for text in ["a/b", "application/x+json;version=0.2", "sbom", ""] {
            let name: TypeName = serde_json::from_value(text.into()).unwrap();
            assert_eq!(name.as_str(), text);
            assert_eq!(serde_json::to_value(&name).unwrap(), text);
        }
    }

    #[test]
    fn kinds() {
        assert_eq!(
            MediaType::docker_list().manifest_kind(),
            Some(ManifestKind::Index)
        );
        assert_eq!(
            MediaType::oci_manifest().manifest_kind(),
            Some(ManifestKind::Image)
        );
        assert_eq!(MediaType::octet_stream().manifest_kind(), None);
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        assert!(MediaType::parse(foreign).unwrap().is_nondistributable());
    }
}
