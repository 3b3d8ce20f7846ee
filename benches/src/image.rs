//! Small whole images by formula: a config, some layers, a manifest; pushed and pulled whole.

use serde_json::json;

use crate::Result;
use crate::content::{Content, Hash, Random};
use crate::wire::{MANIFEST, Wire, expect};

/// One blob of an image, with its name worked out.
#[derive(Debug)]
pub(crate) struct Part {
    content: Content,
    digest: String,
}

impl Part {
    pub(crate) fn new(content: Content) -> Self {
        Self {
            digest: content.digest(),
            content,
        }
    }

    fn descriptor(&self, media_type: &str) -> serde_json::Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.content.size })
    }
}

/// An image that a seed describes completely.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) tag: String,
    pub(crate) digest: String,
    manifest: Vec<u8>,
    parts: Vec<Part>,
}

impl Image {
    /// A config of 1 KiB and one or two layers of 1 KiB to 1 MiB, small ones as frequent as large ones.
    pub(crate) fn new(tag: String, random: &mut Random) -> Self {
        let config = Part::new(Content {
            seed: random.next(),
            size: 1024,
        });
        let layers = random.within(1, 2);
        let layers = (0..layers).map(|_| {
            Part::new(Content {
                seed: random.next(),
                size: random.size(10, 20),
            })
        });
        Self::of(tag, config, layers.collect())
    }

    fn of(tag: String, config: Part, layers: Vec<Part>) -> Self {
        let described = |layer: &Part| layer.descriptor("application/vnd.oci.image.layer.v1.tar");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": layers.iter().map(described).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let mut parts = vec![config];
        parts.extend(layers);
        Self {
            tag,
            digest: Hash::of(&manifest),
            manifest,
            parts,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.content.size).sum()
    }

    pub(crate) fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The digests of the config and the layers.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.digest.as_str())
    }

    /// Pushes the blobs, each asked for first as real clients do, then the manifest by its tag.
    pub(crate) fn push(&self, wire: &mut Wire, repository: &str) -> Result<()> {
        for part in &self.parts {
            let target = format!("/v2/{repository}/blobs/{}", part.digest);
            if wire.exchange("HEAD", &target, &[], &[])?.head.status != 200 {
                wire.push_blob(repository, &part.content, &part.digest)?;
            }
        }
        self.push_manifest(wire, repository)
    }

    fn push_manifest(&self, wire: &mut Wire, repository: &str) -> Result<()> {
        let target = format!("/v2/{repository}/manifests/{}", self.tag);
        let reply = wire.exchange(
            "PUT",
            &target,
            &[("Content-Type", MANIFEST)],
            &self.manifest,
        )?;
        expect(&reply, 201, "PUT of a manifest")
    }

    /// Pulls the manifest by tag and by digest and every blob, and compares each with its name.
    pub(crate) fn check(&self, wire: &mut Wire, repository: &str) -> Result<()> {
        for reference in [&self.tag, &self.digest] {
            let reply = wire.get(&format!("/v2/{repository}/manifests/{reference}"))?;
            expect(&reply, 200, &format!("GET of manifest {reference}"))?;
            if reply.body != self.manifest {
                return Err(format!("manifest {reference} has other bytes").into());
            }
        }
        for part in &self.parts {
            wire.check_blob(repository, &part.digest)?;
        }
        Ok(())
    }
}
