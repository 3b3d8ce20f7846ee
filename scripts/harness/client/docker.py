"""A Docker daemon. It comes first, while the registry is empty."""

import re

from ..checks import Failed, equal, expect
from ..dockerd import NEEDS, Dockerd
from ..images import DOCKER_MANIFEST, digest_of
from .bench import Client, curl


class Docker(Client):
    NEEDS = {**NEEDS, "curl": "curl"}
    ROOT = True

    def __enter__(self):
        self.daemon = Dockerd(self.folder, self.bench.environment)
        return self

    def check(self):
        check = self.bench.check
        # As in everybody's first steps, by the name that Docker takes for insecure by itself.
        image = f"localhost:{self.bench.port}/hello-world"
        digest = image_id = None

        with check("import an image and push it, without a login"):
            image_id = self._import("first", image)
            digest, layers = self.daemon.push(image)
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
            again, layers = self.daemon.push(image)
            equal(again, digest, "digest")
            expect(layers and set(layers) == {"Layer already exists"}, f"layers: {layers}")

        with check("push to another repository: layers are mounted"):
            other = f"localhost:{self.bench.port}/nested/name/hello"
            self.daemon.run("tag", image, other)
            again, layers = self.daemon.push(other)
            equal(again, digest, "digest")
            equal(layers, ["Mounted from hello-world"], "layers")
            self.daemon.run("rmi", other)

        with check("pull by tag, after the image was removed here"):
            self.daemon.remove_all()
            said = self.daemon.run("pull", image)
            expect(f"Digest: {digest}" in said, said)
            expect("Downloaded newer image" in said, said)
            equal(self.daemon.image_id(image), image_id, "image ID")

        with check("pull by digest, after the image was removed here"):
            self.daemon.remove_all()
            said = self.daemon.run("pull", f"{image}@{digest}")
            expect(f"Digest: {digest}" in said and "Downloaded newer image" in said, said)
            equal(self.daemon.image_id(f"{image}@{digest}"), image_id, "image ID")

        with check("another image under the same tag is what is pulled next"):
            newer = self._import("second", image)
            newer_digest, _ = self.daemon.push(image)
            expect(newer_digest != digest, "the same digest as before")
            self.daemon.remove_all()
            self.daemon.run("pull", image)
            equal(self.daemon.image_id(image), newer, "image ID")
            self.daemon.run("pull", f"{image}@{digest}")
            equal(self.daemon.image_id(f"{image}@{digest}"), image_id, "image ID of the older one")

        with check("a tag and a repository that are not there are refused as such"):
            for absent in [f"{image}:absent", f"localhost:{self.bench.port}/absent"]:
                try:
                    said = self.daemon.run("pull", absent)
                except Failed as why:
                    expect(re.search("manifest unknown|not found", str(why)), str(why))
                else:
                    expect(False, f"pulled {absent}:\n{said}")
        self.daemon.remove_all()

    def pull(self, image):
        """For `Together`: pulls and returns digest and image ID."""
        said = self.daemon.run("pull", image)
        digest = re.search(r"Digest: (\S+)", said)
        expect(digest, said)
        return digest[1], self.daemon.image_id(image)

    def _import(self, name, image):
        return self.daemon.import_files(self.bench.tree(f"docker-{name}"), image)
