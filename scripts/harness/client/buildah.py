"""buildah, with storage of its own: it builds without running anything."""

import json

from ..checks import equal
from ..images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of
from .bench import ARCHITECTURE, OTHER_ARCHITECTURE, Client, curl


class Buildah(Client):
    NEEDS = {"buildah": "buildah"}
    ROOT = True

    def check(self):
        check = self.bench.check
        image = f"{self.bench.address}/buildah/image"
        ids, digests = {}, {}

        with check("build and push, in both formats"):
            for architecture in [ARCHITECTURE, OTHER_ARCHITECTURE]:
                ids[architecture] = self._build(architecture)
            for kind, media_type in [("oci", OCI_MANIFEST), ("v2s2", DOCKER_MANIFEST)]:
                digests[kind] = self._push(f"made:{ARCHITECTURE}", f"{image}:{kind}", kind)
                reply = curl(self.bench, f"/v2/buildah/image/manifests/{kind}")
                equal(digest_of(reply.body), digests[kind], "digest")
                equal(reply.headers["content-type"], media_type, "Content-Type")

        with check("build a multi-arch index and push it whole"):
            self._buildah("manifest", "create", "several")
            for architecture in ids:
                self._buildah("manifest", "add", "several", f"made:{architecture}")
            push = ["manifest", "push", "--all", "--tls-verify=false"]
            self._buildah(*push, "several", f"docker://{image}:several")
            reply = curl(self.bench, "/v2/buildah/image/manifests/several")
            equal(reply.headers["content-type"], OCI_INDEX, "Content-Type")
            children = json.loads(reply.body)["manifests"]
            equal(
                sorted(child["platform"]["architecture"] for child in children),
                sorted(ids),
                "architectures",
            )
            for child in children:
                found = curl(self.bench, f"/v2/buildah/image/manifests/{child['digest']}")
                equal(digest_of(found.body), child["digest"], "child")

        for how, reference in [
            ("tag", f"{image}:oci"),
            ("digest", f"{image}@{digests.get('oci')}"),
            ("index", f"{image}:several"),
        ]:
            with check(f"pull by {how}, after everything was removed here"):
                self._buildah("rmi", "--all", "--force")
                equal(self._buildah("images", "--all", "--quiet"), "", "images left")
                said = self._buildah("pull", "--quiet", "--tls-verify=false", reference)
                equal(said.split()[-1], ids[ARCHITECTURE], "image ID")

    def _build(self, architecture):
        container = self._buildah("from", "--arch", architecture, "scratch").strip()
        self._buildah("add", "--quiet", container, self.bench.tree(f"buildah-{architecture}"), "/")
        self._buildah("config", "--arch", architecture, container)
        made = self._buildah("commit", "--quiet", "--rm", container, f"made:{architecture}")
        return made.split()[-1]

    def _push(self, image, target, kind):
        written = self.folder / "digest"
        written.unlink(missing_ok=True)
        options = ["--tls-verify=false", "--format", kind, "--digestfile", written]
        self._buildah("push", *options, image, f"docker://{target}")
        return written.read_text().strip()

    def _buildah(self, *words):
        storage = ["--root", self.folder / "root", "--runroot", self.folder / "run"]
        return self.bench.run("buildah", *storage, "--storage-driver", "vfs", *words)
