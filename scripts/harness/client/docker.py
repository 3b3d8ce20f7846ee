"""A Docker daemon. It comes first, while the registry is empty."""

import re

from ..checks import Failed, equal, expect
from ..images import DOCKER_MANIFEST, digest_of
from .bench import Client, curl


class Docker(Client):
    NEEDS = {"dockerd": "docker.io", "docker": "docker.io", "curl": "curl"}
    ROOT = True

    def __enter__(self):
        (self.folder / "daemon.json").write_text("{}")
        self.socket = f"unix://{self.folder}/docker.sock"
        self.start(
            *["dockerd", "--config-file", self.folder / "daemon.json"],
            *["--data-root", self.folder / "data", "--exec-root", self.folder / "exec"],
            *["--host", self.socket, "--pidfile", self.folder / "pid"],
            *["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"],
            probe=["docker", "--host", self.socket, "version"],
        )
        return self

    def check(self):
        check = self.bench.check
        # As in everybody's first steps, by the name that Docker takes for insecure by itself.
        image = f"localhost:{self.bench.port}/hello-world"
        digest = image_id = None

        with check("import an image and push it, without a login"):
            image_id = self._import("first", image)
            digest, layers = self._push(image)
            expect(all(said == "Pushed" for said in layers), f"layers: {layers}")

        with check("curl: the catalog has exactly this repository"):
            body = curl(self.bench, "/v2/_catalog").text
            equal(body.strip(), '{"repositories":["hello-world"]}', "body")

        with check("curl: the repository has exactly this tag"):
            body = curl(self.bench, "/v2/hello-world/tags/list").text
            equal(body.strip(), '{"name":"hello-world","tags":["latest"]}', "body")

        with check("curl: the manifest's bytes have the digest that Docker printed"):
            reply = curl(self.bench, "/v2/hello-world/manifests/latest", DOCKER_MANIFEST)
            equal(digest_of(reply.body), digest, "digest")
            equal(reply.headers["docker-content-digest"], digest, "Docker-Content-Digest")
            equal(reply.headers["content-type"], DOCKER_MANIFEST, "Content-Type")

        with check('push again: "Layer already exists"'):
            again, layers = self._push(image)
            equal(again, digest, "digest")
            expect(layers and set(layers) == {"Layer already exists"}, f"layers: {layers}")

        with check("push to another repository: layers are mounted"):
            other = f"localhost:{self.bench.port}/nested/name/hello"
            self._docker("tag", image, other)
            again, layers = self._push(other)
            equal(again, digest, "digest")
            equal(layers, ["Mounted from hello-world"], "layers")
            self._docker("rmi", other)

        with check("pull by tag, after the image was removed here"):
            self._remove_all()
            said = self._docker("pull", image)
            expect(f"Digest: {digest}" in said, said)
            expect("Downloaded newer image" in said, said)
            equal(self._image_id(image), image_id, "image ID")

        with check("pull by digest, after the image was removed here"):
            self._remove_all()
            said = self._docker("pull", f"{image}@{digest}")
            expect(f"Digest: {digest}" in said and "Downloaded newer image" in said, said)
            equal(self._image_id(f"{image}@{digest}"), image_id, "image ID")

        with check("another image under the same tag is what is pulled next"):
            newer = self._import("second", image)
            newer_digest, _ = self._push(image)
            expect(newer_digest != digest, "the same digest as before")
            self._remove_all()
            self._docker("pull", image)
            equal(self._image_id(image), newer, "image ID")
            self._docker("pull", f"{image}@{digest}")
            equal(self._image_id(f"{image}@{digest}"), image_id, "image ID of the older one")

        with check("a tag and a repository that are not there are refused as such"):
            for absent in [f"{image}:absent", f"localhost:{self.bench.port}/absent"]:
                try:
                    said = self._docker("pull", absent)
                except Failed as why:
                    expect(re.search("manifest unknown|not found", str(why)), str(why))
                else:
                    expect(False, f"pulled {absent}:\n{said}")
        self._remove_all()

    def pull(self, image):
        """For `Together`: pulls and returns digest and image ID."""
        said = self._docker("pull", image)
        digest = re.search(r"Digest: (\S+)", said)
        expect(digest, said)
        return digest[1], self._image_id(image)

    def _import(self, name, image):
        archive = self.bench.folder / f"docker-{name}.tar"
        self.bench.run("tar", "-C", self.bench.tree(f"docker-{name}"), "-cf", archive, ".")
        return self._docker("import", archive, image).strip()

    def _push(self, image):
        """The digest that it printed, and the last word about each layer."""
        said = self._docker("push", image)
        digest = re.search(r"digest: (sha256:[0-9a-f]{64}) size: ", said)
        expect(digest, f"no digest:\n{said}")
        layers = dict(re.findall(r"^([0-9a-f]{12}): (.*)$", said, re.MULTILINE))
        return digest[1], list(layers.values())

    def _image_id(self, image):
        return self._docker("image", "inspect", "--format", "{{.Id}}", image).strip()

    def _remove_all(self):
        ids = self._docker("images", "--all", "--quiet").split()
        if ids:
            self._docker("rmi", "--force", *sorted(set(ids)))
        equal(self._docker("images", "--all", "--quiet"), "", "images left")

    def _docker(self, *words):
        return self.bench.run("docker", "--host", self.socket, *words)
