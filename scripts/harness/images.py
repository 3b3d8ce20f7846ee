"""Images, indexes and artifacts as bytes: the same at every run, no two of them alike."""

import hashlib
import json
import random

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPES = [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX]

# What an image of each kind calls its configuration and its layers.
PARTS = {
    DOCKER_MANIFEST: (
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ),
    OCI_MANIFEST: (
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ),
}


class Manifest:
    """A manifest's bytes, and what must be pushed before it."""

    def __init__(self, media_type, document, blobs=(), children=()):
        self.media_type = media_type
        # Indented oddly, so that a registry that writes it anew is found out.
        self.content = json.dumps(document, indent=3).encode()
        self.digest = digest_of(self.content)
        self.blobs = list(blobs)
        self.children = list(children)
        self.subject = document.get("subject", {}).get("digest")

    def descriptor(self):
        return describe(self.content, self.media_type)


def image(seed, media_type, layer_sizes=(1, 20_000, 100_000), subject=None, **fields):
    """An image whose layers are bytes drawn from the seed."""
    draw = random.Random(seed)
    config_type, layer_type = PARTS[media_type]
    config = json.dumps({"architecture": "amd64", "os": "linux", "comment": seed}).encode()
    layers = [draw.randbytes(size) for size in layer_sizes]
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": describe(config, config_type),
        "layers": [describe(layer, layer_type) for layer in layers],
        **fields,
    }
    if subject:
        document["subject"] = subject.descriptor()
    # A field given as None is left out, as an OCI manifest may leave out its media type.
    document = {name: value for name, value in document.items() if value is not None}
    return Manifest(media_type, document, [config, *layers])


def index(media_type, children, **fields):
    """An index, or a Docker manifest list, of images."""
    architectures = ["amd64", "arm64", "s390x", "riscv64"]
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [
            {**child.descriptor(), "platform": {"architecture": architecture, "os": "linux"}}
            for child, architecture in zip(children, architectures)
        ],
        **fields,
    }
    return Manifest(media_type, document, children=children)


def describe(content, media_type):
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def digest_of(content, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
