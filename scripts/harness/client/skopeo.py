"""skopeo, which copies between an OCI layout here and the registry, in either format."""

import json

from ..checks import equal
from ..images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, digest_of
from .bench import (
    ARCHITECTURE,
    OTHER_ARCHITECTURE,
    Client,
    blob_path,
    curl,
    descriptor,
    same_blobs,
)

COPY = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false"]


class Skopeo(Client):
    NEEDS = {"skopeo": "skopeo", "umoci": "umoci", "curl": "curl"}

    def check(self):
        check, layout = self.bench.check, self.bench.layout
        here = f"oci:{layout.folder}:here"

        with check("copy an OCI image, and back"):
            self._push(here, "skopeo/oci:1")
            equal(self._digest("skopeo/oci:1"), layout.digest("here"), "digest")
            back = self._pull("skopeo/oci:1", "oci")
            equal(descriptor(back, "back")["digest"], layout.digest("here"), "digest")
            same_blobs(back, layout.folder, descriptor(back, "back"))

        with check("copy as a Docker image (schema 2), and back"):
            self._push(here, "skopeo/docker:1", "--format", "v2s2")
            reply = curl(self.bench, "/v2/skopeo/docker/manifests/1", DOCKER_MANIFEST)
            equal(reply.headers["content-type"], DOCKER_MANIFEST, "Content-Type")
            self._copy(f"docker://{self.bench.address}/skopeo/docker:1", f"dir:{self.folder}/dir")
            back = self.folder / "dir"
            equal((back / "manifest.json").read_bytes(), reply.body, "manifest")
            manifest = json.loads(reply.body)
            for blob in [manifest["config"], *manifest["layers"]]:
                content = (back / blob["digest"].removeprefix("sha256:")).read_bytes()
                equal(digest_of(content), blob["digest"], "blob")

        with check("copy a multi-arch OCI index whole, and back"):
            self._push(f"oci:{layout.folder}:both", "skopeo/index:1", "--all")
            equal(self._digest("skopeo/index:1"), layout.digest("both"), "digest")
            reply = curl(self.bench, "/v2/skopeo/index/manifests/1")
            equal(reply.headers["content-type"], OCI_INDEX, "Content-Type")
            back = self._pull("skopeo/index:1", "index", "--all")
            equal(descriptor(back, "back")["digest"], layout.digest("both"), "digest")
            same_blobs(back, layout.folder, descriptor(back, "back"))

        with check("copy a multi-arch index as a Docker manifest list, and back"):
            self._push(f"oci:{layout.folder}:both", "skopeo/list:1", "--all", "--format", "v2s2")
            reply = curl(self.bench, "/v2/skopeo/list/manifests/1")
            equal(reply.headers["content-type"], DOCKER_LIST, "Content-Type")
            equal(len(json.loads(reply.body)["manifests"]), 2, "manifests")
            source = f"docker://{self.bench.address}/skopeo/list:1"
            self._copy(source, f"dir:{self.folder}/list", "--all")
            equal((self.folder / "list" / "manifest.json").read_bytes(), reply.body, "manifest")

        with check("copy one platform out of the index"):
            source = f"docker://{self.bench.address}/skopeo/index:1"
            for architecture, tag in [(ARCHITECTURE, "here"), (OTHER_ARCHITECTURE, "elsewhere")]:
                folder = self.folder / architecture
                self._skopeo("--override-arch", architecture, *COPY, source, f"oci:{folder}:back")
                equal(descriptor(folder, "back")["digest"], layout.digest(tag), architecture)

        with check("copy by digest"):
            wanted = layout.digest("elsewhere")
            back = self._pull(f"skopeo/index@{wanted}", "by-digest")
            equal(descriptor(back, "back")["digest"], wanted, "digest")

        with check("copy between repositories of the registry"):
            source = f"docker://{self.bench.address}/skopeo/index:1"
            self._push(source, "skopeo/copy/of/index:2", "--all")
            equal(self._digest("skopeo/copy/of/index:2"), layout.digest("both"), "digest")

        with check("inspect"):
            found = json.loads(self._inspect("skopeo/oci:1"))
            equal(found["Digest"], layout.digest("here"), "Digest")
            equal(found["RepoTags"], ["1"], "RepoTags")
            equal(found["Architecture"], ARCHITECTURE, "Architecture")
            raw = self._inspect("skopeo/oci:1", "--raw")
            equal(raw.encode(), blob_path(layout.folder, layout.digest("here")).read_bytes(), "raw")
            config = self._inspect("skopeo/oci:1", "--raw", "--config")
            equal(digest_of(config.encode()), layout.image_id("here"), "configuration")

        with check("list-tags"):
            for tag in ["b", "a"]:
                self._push(here, f"skopeo/tags:{tag}")
            self._push(f"oci:{layout.folder}:elsewhere", "skopeo/tags:c")
            equal(self._tags("skopeo/tags"), ["a", "b", "c"], "tags")

        with check("delete: the manifest goes, with every tag on it, and nothing else"):
            target = f"docker://{self.bench.address}/skopeo/tags:a"
            self._skopeo("delete", "--tls-verify=false", target)
            equal(self._tags("skopeo/tags"), ["c"], "tags")
            for gone in ["a", "b", layout.digest("here")]:
                reply = curl(self.bench, f"/v2/skopeo/tags/manifests/{gone}")
                equal(reply.status, 404, gone)
                equal(json.loads(reply.body)["errors"][0]["code"], "MANIFEST_UNKNOWN", "code")
            equal(self._digest("skopeo/tags:c"), layout.digest("elsewhere"), "digest of c")
            equal(self._digest("skopeo/oci:1"), layout.digest("here"), "the other repository's")

        with check("push again what was deleted"):
            self._push(here, "skopeo/tags:a")
            back = self._pull("skopeo/tags:a", "again")
            same_blobs(back, layout.folder, descriptor(back, "back"))

    def _push(self, source, image, *options):
        return self._copy(source, f"docker://{self.bench.address}/{image}", *options)

    def _pull(self, image, folder, *options):
        folder = self.folder / folder
        self._copy(f"docker://{self.bench.address}/{image}", f"oci:{folder}:back", *options)
        return folder

    def _copy(self, source, destination, *options):
        return self._skopeo(*COPY, *options, source, destination)

    def _digest(self, image):
        return digest_of(self._inspect(image, "--raw").encode())

    def _inspect(self, image, *options):
        target = f"docker://{self.bench.address}/{image}"
        return self._skopeo("inspect", "--tls-verify=false", *options, target)

    def _tags(self, repository):
        target = f"docker://{self.bench.address}/{repository}"
        return json.loads(self._skopeo("list-tags", "--tls-verify=false", target))["Tags"]

    def _skopeo(self, *words):
        return self.bench.run("skopeo", "--insecure-policy", *words)
