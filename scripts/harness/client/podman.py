"""podman, with storage of its own."""

import json

from ..checks import equal
from ..images import DOCKER_MANIFEST, OCI_MANIFEST, digest_of
from .bench import Client, curl


class Podman(Client):
    NEEDS = {"podman": "podman"}
    ROOT = True

    def check(self):
        check = self.bench.check
        image = f"{self.bench.address}/podman/image"
        archive = self.folder / "rootfs.tar"
        self.bench.run("tar", "-C", self.bench.tree("podman"), "-cf", archive, ".")
        image_id = self._podman("import", "--quiet", archive, "localhost/made:1").split()[-1]
        image_id = image_id.removeprefix("sha256:")
        digests = {}

        for kind, media_type in [("oci", OCI_MANIFEST), ("v2s2", DOCKER_MANIFEST)]:
            with check(f"push as {kind}"):
                digests[kind] = self._push("localhost/made:1", f"{image}:{kind}", kind)
                reply = curl(self.bench, f"/v2/podman/image/manifests/{kind}")
                equal(digest_of(reply.body), digests[kind], "digest")
                equal(reply.headers["content-type"], media_type, "Content-Type")

            with check(f"push as {kind} again: the same digest"):
                again = self._push("localhost/made:1", f"{image}:{kind}", kind)
                equal(again, digests[kind], "digest")

        for kind, digest in digests.items():
            for how, reference in [("tag", f"{image}:{kind}"), ("digest", f"{image}@{digest}")]:
                with check(f"pull the {kind} image by {how}, after it was removed here"):
                    self._podman("rmi", "--all", "--force")
                    self._podman("pull", "--tls-verify=false", reference)
                    found = json.loads(self._podman("image", "inspect", reference))[0]
                    equal(found["Digest"], digest, "digest")
                    if kind == "oci":
                        # The Docker form has another configuration, and so another ID.
                        equal(found["Id"], image_id, "image ID")

    def _push(self, image, target, kind):
        written = self.folder / "digest"
        written.unlink(missing_ok=True)
        options = ["--tls-verify=false", "--format", kind, "--digestfile", written]
        self._podman("push", *options, image, target)
        return written.read_text().strip()

    def pull(self, image):
        """For `Together`: pulls and returns the image ID."""
        self._podman("pull", "--tls-verify=false", image)
        found = json.loads(self._podman("image", "inspect", image))[0]
        return f"sha256:{found['Id']}"

    def _podman(self, *words):
        storage = ["--root", self.folder / "root", "--runroot", self.folder / "run"]
        own = [*storage, "--tmpdir", self.folder / "tmp", "--storage-driver", "vfs"]
        return self.bench.run("podman", *own, "--events-backend", "none", *words)
