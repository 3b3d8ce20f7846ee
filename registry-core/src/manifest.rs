//! Manifests: the documents that make images and artifacts of blobs.
//!
//! A [`Document`] is read from the bytes of a manifest and tells what it refers to. The bytes
//! themselves are never changed: what is stored and served is what was pushed.
//!
//! The rules are image-spec's ("Image Manifest", "Image Index") and those of Docker's schema 2. A
//! document with both `layers` (or `config`) and `manifests` is refused: two readers could take it
//! for two different things.

mod keys;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

pub use self::keys::ambiguous_key;
use crate::{
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode},
    media_type::{ManifestKind, MediaType, TypeName},
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
    pub artifact_type: Option<TypeName>,
    /// Its annotations.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Something that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Child {
    /// Its media type, as the manifest has it.
    #[serde(default, deserialize_with = "not_empty")]
    pub media_type: Option<TypeName>,
    /// Its digest.
    pub digest: Digest,
    /// How many bytes it has.
    #[serde(deserialize_with = "readable_size")]
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
            .is_some_and(TypeName::is_nondistributable)
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
    #[serde(default, deserialize_with = "not_empty")]
    media_type: Option<TypeName>,
    #[serde(default)]
    config: Option<Child>,
    #[serde(default)]
    layers: Option<Vec<Child>>,
    #[serde(default)]
    manifests: Manifests,
    #[serde(default)]
    subject: Option<Child>,
    #[serde(default, deserialize_with = "not_empty")]
    artifact_type: Option<TypeName>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// The manifests of an index. Go writes those of an empty one as `null`.
#[derive(Default)]
enum Manifests {
    #[default]
    Absent,
    Listed(Vec<Child>),
    Null,
}

impl<'de> Deserialize<'de> for Manifests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let listed = Option::deserialize(deserializer)?;
        Ok(listed.map_or(Self::Null, Self::Listed))
    }
}

/// Types that are absent, `null` and empty are all the same to the programs that write manifests.
fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TypeName>, D::Error> {
    let name = Option::<TypeName>::deserialize(deserializer)?;
    Ok(name.filter(|name| !name.as_str().is_empty()))
}

/// image-spec's sizes are `int64`: what is larger, no client can read.
fn readable_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    i64::try_from(size).map_err(|_| de::Error::custom("a size does not fit into 63 bits"))?;
    Ok(size)
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
        let index = matches!(raw.manifests, Manifests::Listed(_));
        let null = matches!(raw.manifests, Manifests::Null) && !image;
        if image && index {
            return Err(InvalidManifest::Ambiguous);
        }
        let shape = if index {
            MediaType::oci_index()
        } else {
            MediaType::oci_manifest()
        };
        let own = raw
            .media_type
            .map(|name| MediaType::parse(name.as_str()).map_err(|_| InvalidManifest::MediaType))
            .transpose()?;
        let media_type = match (declared, own) {
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
            ManifestKind::Index if !index && !null => {
                return Err(InvalidManifest::Shape {
                    media_type,
                    wants: "manifests",
                });
            }
            ManifestKind::Image | ManifestKind::Index => {}
        }
        let document = Self {
            artifact_type: raw.artifact_type,
            media_type,
            kind,
            config: raw.config,
            layers: raw.layers.unwrap_or_default(),
            manifests: match raw.manifests {
                Manifests::Listed(manifests) => manifests,
                Manifests::Absent | Manifests::Null => Vec::new(),
            },
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
    pub fn referrer_type(&self) -> Option<TypeName> {
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

/// The media type of a manifest that is stored already, whoever checked it when it was pushed: its own,
/// else that of its shape. `None` when it is no manifest of schema version 2 at all.
///
/// [`Document::parse`] refuses more: what another registry accepted is to be read, and not judged.
pub fn stored_media_type(bytes: &[u8], limits: &Limits) -> Option<MediaType> {
    if bytes.len() > limits.size || nesting(bytes) > limits.depth {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let shape: Shape = serde_json::from_str(&text).ok()?;
    if shape.schema_version != Some(2) {
        return None;
    }
    let own = shape
        .media_type
        .and_then(|name| MediaType::parse(&name).ok());
    let own = own.filter(|own| own.manifest_kind().is_some());
    Some(own.unwrap_or_else(|| {
        if shape.manifests {
            MediaType::oci_index()
        } else {
            MediaType::oci_manifest()
        }
    }))
}

/// As much of a manifest as says what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    #[serde(default, deserialize_with = "text_if_it_is_one")]
    media_type: Option<String>,
    #[serde(default, deserialize_with = "it_is_there")]
    manifests: bool,
}

fn text_if_it_is_one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(str::to_owned))
}

fn it_is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    de::IgnoredAny::deserialize(deserializer).map(|_| true)
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
    /// It has a key that some programs take for another one.
    #[error(
        "the key {key:?} differs in case alone from one of a manifest; write it as the specification does"
    )]
    AmbiguousKey {
        /// The key.
        key: String,
    },
    /// It has both the members of an image manifest and those of an index.
    #[error("a manifest has config and layers, or manifests, not both")]
    Ambiguous,
    /// It is not the JSON of a manifest.
    #[error("the manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Its media type is none.
    #[error("the mediaType is not a media type")]
    MediaType,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// A descriptor, as JSON.
    fn child(media_type: &str) -> String {
        format!(r#"{{"mediaType": "{media_type}", "digest": "{A}", "size": 3}}"#)
    }

    /// An image manifest with more members, as JSON.
    fn image(more: &str) -> String {
        let config = child("application/vnd.oci.image.config.v1+json");
        format!(r#"{{"schemaVersion": 2, "config": {config}{more}}}"#)
    }

    /// An index with more members, as JSON.
    fn index(more: &str) -> String {
        let manifest = child(MediaType::oci_manifest().as_str());
        format!(r#"{{"schemaVersion": 2, "manifests": [{manifest}]{more}}}"#)
    }

    fn parse(text: &str, declared: Option<&MediaType>) -> Result<Document, InvalidManifest> {
        Document::parse(text.as_bytes(), declared, &Limits::default())
    }

    #[test]
    fn the_four_types_and_how_they_are_told_apart() {
        let own = |media_type: &MediaType| format!(r#", "mediaType": "{media_type}""#);
        let table = [
            (image(""), None, MediaType::oci_manifest()),
            (index(""), None, MediaType::oci_index()),
            (
                image(&own(&MediaType::docker_manifest())),
                None,
                MediaType::docker_manifest(),
            ),
            (
                index(&own(&MediaType::docker_list())),
                None,
                MediaType::docker_list(),
            ),
            (
                image(""),
                Some(MediaType::docker_manifest()),
                MediaType::docker_manifest(),
            ),
            (
                image(&own(&MediaType::oci_manifest())),
                Some(MediaType::oci_manifest()),
                MediaType::oci_manifest(),
            ),
            (
                image(r#", "mediaType": """#),
                Some(MediaType::oci_manifest()),
                MediaType::oci_manifest(),
            ),
            (
                index(r#", "mediaType": "application/vnd.oci.image.index.v1+json; a=b""#),
                Some(MediaType::oci_index()),
                MediaType::oci_index(),
            ),
        ];
        for (text, declared, expected) in table {
            let document = parse(&text, declared.as_ref()).expect(&text);
            assert_eq!(document.media_type, expected, "{text}");
            assert_eq!(Some(document.kind), expected.manifest_kind(), "{text}");
        }
    }

    #[test]
    fn what_other_registries_take_is_taken() {
        let good = [
            image(r#", "layers": []"#),
            image(r#", "layers": null, "manifests": null, "subject": null, "annotations": null"#),
            image(r#", "artifactType": "", "unknown": {"a": [1, 2, {"b": null}]}, "2": 3"#),
            image(r#", "artifactType": "not a media type""#),
            image(&format!(r#", "layers": [{}]"#, child("whatever"))),
            image(&format!(
                r#", "layers": [{{"digest": "{A}", "size": 0, "data": "", "urls": ["x"]}}]"#
            )),
            image(r#", "subject": {"digest": "blake3:abc", "size": 1}"#),
            index(r#", "config": null, "layers": null"#),
            r#" {"schemaVersion": 2, "manifests": []} "#.to_owned(),
            format!(
                r#"{{"schemaVersion": 2, "manifests": [{{"digest": "{A}", "size": 1,
                    "platform": {{"architecture": "arm64", "os": "linux", "variant": "v8"}}}}]}}"#
            ),
        ];
        for text in good {
            assert!(parse(&text, None).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_way_to_be_invalid() {
        use InvalidManifest as E;
        type Is = fn(&E) -> bool;
        let json: Is = |e| matches!(e, E::Json(_));
        let shape: Is = |e| matches!(e, E::Shape { .. });
        let ambiguous: Is = |e| matches!(e, E::Ambiguous);
        let schema: Is = |e| matches!(e, E::SchemaVersion);
        let layer = |text: &str| image(&format!(r#", "layers": [{text}]"#));
        let image_as = |media_type: &str| image(&format!(r#", "mediaType": "{media_type}""#));
        let table: Vec<(String, Is)> = vec![
            (String::new(), json),
            ("null".into(), json),
            ("[]".into(), json),
            ("{} {}".into(), json),
            (format!("{}x", image("")), json),
            (layer("null"), json),
            (layer("{}"), json),
            (layer(r#"{"digest": "sha256:abc", "size": 1}"#), json),
            (layer(r#"{"digest": "../../etc/passwd", "size": 1}"#), json),
            (layer(&format!(r#"{{"digest": "{A}"}}"#)), json),
            (layer(&format!(r#"{{"digest": "{A}", "size": -1}}"#)), json),
            (layer(&format!(r#"{{"digest": "{A}", "size": 1.5}}"#)), json),
            (
                layer(&format!(
                    r#"{{"digest": "{A}", "size": 9223372036854775808}}"#
                )),
                json,
            ),
            (
                layer(&format!(r#"{{"digest": "{A}", "size": 1e99}}"#)),
                json,
            ),
            (image(r#", "layers": [], "layers": []"#), json),
            (image(r#", "schemaVersion": 2"#), json),
            (image(r#", "layers": {}"#), json),
            (image(r#", "annotations": {"a": 1}"#), json),
            ("{}".into(), schema),
            (r#"{"schemaVersion": 1, "manifests": []}"#.into(), schema),
            (r#"{"schemaVersion": null, "manifests": []}"#.into(), schema),
            (image(r#", "manifests": []"#), ambiguous),
            (index(r#", "layers": []"#), ambiguous),
            (r#"{"schemaVersion": 2}"#.into(), shape),
            (r#"{"schemaVersion": 2, "layers": []}"#.into(), shape),
            (
                r#"{"schemaVersion": 2, "config": null, "layers": []}"#.into(),
                shape,
            ),
            (image_as(MediaType::docker_list().as_str()), shape),
            (
                index(r#", "mediaType": "application/vnd.oci.image.manifest.v1+json""#),
                shape,
            ),
            (image_as("nonsense"), |e| matches!(e, E::MediaType)),
            (image_as("text/plain"), |e| {
                matches!(e, E::UnknownMediaType(_))
            }),
            (layer(&"[".repeat(70)), |e| matches!(e, E::TooDeep { .. })),
            (format!("{}{}", image(""), " ".repeat(4 << 20)), |e| {
                matches!(e, E::TooLarge { .. })
            }),
            (layer(&vec![child("a/b"); 10_000].join(",")), |e| {
                matches!(e, E::TooManyReferences { .. })
            }),
        ];
        for (text, is) in table {
            let shown = text.get(..200).unwrap_or(&text);
            let error = parse(&text, None).expect_err(shown);
            assert!(is(&error), "{error:?}: {shown}");
            let code = match error {
                E::TooLarge { .. } => ErrorCode::TooLarge,
                _ => ErrorCode::ManifestInvalid,
            };
            assert_eq!(Error::from(error).code(), code, "{shown}");
        }
        let sent = parse(
            &image_as(MediaType::oci_manifest().as_str()),
            Some(&MediaType::docker_manifest()),
        );
        assert!(matches!(sent, Err(E::MediaTypeMismatch { .. })));
    }

    #[test]
    fn what_it_refers_to() {
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let text = image(&format!(
            r#", "layers": [{}, {}], "subject": {}"#,
            child("a/b"),
            child(foreign),
            child("c/d")
        ));
        let document = parse(&text, None).unwrap();
        assert_eq!(document.children().count(), 3);
        assert_eq!(document.blobs().count(), 3);
        let held = document.blobs().filter(|child| child.is_distributable());
        assert_eq!(held.count(), 2);
        assert_eq!(document.subject.unwrap().digest.as_str(), A);
        let document = parse(&index(""), None).unwrap();
        assert_eq!(
            (document.children().count(), document.blobs().count()),
            (1, 0)
        );
    }

    #[test]
    fn the_type_of_a_referrer() {
        let config = "application/vnd.oci.image.config.v1+json";
        let table = [
            (image(""), Some(config)),
            (image(r#", "artifactType": """#), Some(config)),
            (image(r#", "artifactType": "a/b""#), Some("a/b")),
            (image(r#", "artifactType": "a/b;v=0.2""#), Some("a/b;v=0.2")),
            (index(""), None),
            (index(r#", "artifactType": "a/b""#), Some("a/b")),
        ];
        for (text, expected) in table {
            let found = parse(&text, None).unwrap().referrer_type();
            assert_eq!(found.as_ref().map(TypeName::as_str), expected, "{text}");
        }
        let document = parse(&image(r#", "annotations": {"b": "2", "a": ""}"#), None).unwrap();
        let digest = Digest::parse(A).unwrap();
        let descriptor = document.descriptor(digest, 7);
        let annotations = descriptor.annotations.unwrap();
        assert_eq!(
            annotations.into_iter().collect::<Vec<_>>(),
            [("a".into(), String::new()), ("b".into(), "2".into())]
        );
    }

    #[test]
    fn nesting_counts_brackets_outside_of_strings() {
        for (text, depth) in [
            ("", 0),
            ("1", 0),
            ("{}", 1),
            ("[[],[[]]]", 3),
            (r#"{"a": "[[[["}"#, 1),
            (r#"{"\"[[[[": []}"#, 2),
            (r#"{"\\": [[]]}"#, 3),
            (r#"["\\\"[["]"#, 1),
            ("]]]][", 1),
        ] {
            assert_eq!(nesting(text.as_bytes()), depth, "{text}");
        }
    }

    #[test]
    fn depth_is_refused_before_it_is_parsed() {
        let limits = Limits::default();
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let at = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let deep = Document::parse(at(10_000).as_bytes(), None, &limits);
            assert!(matches!(deep, Err(InvalidManifest::TooDeep { .. })));
            let fits = image(&format!(r#", "x": {}"#, at(limits.depth - 1)));
            assert!(parse(&fits, None).is_ok());
            let deeper = image(&format!(r#", "x": {}"#, at(limits.depth)));
            assert!(parse(&deeper, None).is_err());
        }
        let unbounded = Limits {
            depth: usize::MAX,
            ..limits
        };
        let text = "[".repeat(1 << 20);
        assert!(Document::parse(text.as_bytes(), None, &unbounded).is_err());
    }

    /// Any JSON, not too deep, with the words of manifests in it.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let word = prop_oneof![
            Just("schemaVersion"),
            Just("mediaType"),
            Just("config"),
            Just("layers"),
            Just("manifests"),
            Just("subject"),
            Just("annotations"),
            Just("artifactType"),
            Just("digest"),
            Just("size"),
            Just(A),
            Just("application/vnd.oci.image.index.v1+json"),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(Value::from(2)),
            any::<i64>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes, None, &Limits::default());
        }

        #[test]
        fn what_parses_keeps_its_promises(value in json(), versioned in any::<bool>()) {
            let mut value = value;
            if let (true, Some(map)) = (versioned, value.as_object_mut()) {
                map.insert("schemaVersion".into(), 2.into());
            }
            if let Ok(document) = parse(&value.to_string(), None) {
                prop_assert_eq!(document.media_type.manifest_kind(), Some(document.kind));
                let image = document.kind == ManifestKind::Image;
                prop_assert_eq!(document.config.is_some(), image);
                prop_assert!(!image || document.manifests.is_empty());
                prop_assert!(image || document.layers.is_empty());
            }
        }

        #[test]
        fn nesting_is_the_depth_of_the_value(value in json()) {
            fn depth(value: &serde_json::Value) -> usize {
                let inner = match value {
                    serde_json::Value::Array(items) => items.iter().map(depth).max(),
                    serde_json::Value::Object(map) => map.values().map(depth).max(),
                    _ => return 0,
                };
                1 + inner.unwrap_or(0)
            }
            prop_assert_eq!(nesting(value.to_string().as_bytes()), depth(&value));
        }
    }

    #[test]
    fn what_is_stored_is_read_and_not_judged() {
        let limits = Limits::default();
        let index = Some(MediaType::oci_index());
        let image = Some(MediaType::oci_manifest());
        let typed = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json""#;
        for (text, expected) in [
            (format!("{typed}}}"), index.clone()),
            (format!("{typed},\"manifests\":null}}"), index.clone()),
            (
                format!("{typed},\"manifests\":[{{\"size\":-1}}],\"subject\":{{}}}}"),
                index.clone(),
            ),
            (format!("{typed},\"artifactType\":3}}"), index.clone()),
            (
                format!("{typed},\"annotations\":{{\"a\":\"\\ud800\"}}}}"),
                index.clone(),
            ),
            (r#"{"schemaVersion":2,"manifests":null}"#.to_owned(), index),
            (
                r#"{"schemaVersion":2,"mediaType":7,"layers":3}"#.to_owned(),
                image.clone(),
            ),
            (r#"{"schemaVersion":2,"mediaType":"a/b"}"#.to_owned(), image),
            (r#"{"schemaVersion":1}"#.to_owned(), None),
            ("[]".to_owned(), None),
            ("no".to_owned(), None),
        ] {
            assert_eq!(
                stored_media_type(text.as_bytes(), &limits),
                expected,
                "{text}"
            );
        }
        let bytes = b"{\"schemaVersion\":2,\"annotations\":{\"a\":\"\xff\"}}";
        assert!(stored_media_type(bytes, &limits).is_some());
    }

    #[test]
    fn an_index_of_gos_may_be_empty() {
        let text = r#"{"schemaVersion":2,"manifests":null}"#;
        let declared = Some(&MediaType::oci_index());
        let document = Document::parse(text.as_bytes(), declared, &Limits::default()).unwrap();
        assert!(document.manifests.is_empty());
        assert!(Document::parse(b"{\"schemaVersion\":2}", declared, &Limits::default()).is_err());
    }
}
