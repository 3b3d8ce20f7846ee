"""What one client pushed, another one pulls."""

from ..checks import equal
from .bench import Client
from .docker import Docker
from .podman import Podman
from .skopeo import Skopeo


class Together(Client):
    NEEDS = Docker.NEEDS | Skopeo.NEEDS | Podman.NEEDS
    ROOT = True

    def check(self):
        check, layout = self.bench.check, self.bench.layout
        index = f"{self.bench.address}/skopeo/index:1"

        # A second daemon, and a second storage, that have nothing yet.
        with Docker(self.bench.within(self.folder)) as docker:
            with check("docker pulls skopeo's index"):
                digest, image_id = docker.pull(index)
                equal(digest, layout.digest("both"), "digest")
                equal(image_id, layout.image_id("here"), "image ID")

            with check("docker pulls skopeo's OCI image by digest"):
                image = f"{self.bench.address}/skopeo/oci@{layout.digest('here')}"
                equal(docker.pull(image)[1], layout.image_id("here"), "image ID")

        podman = Podman(self.bench.within(self.folder))
        with check("podman pulls skopeo's index"):
            equal(podman.pull(index), layout.image_id("here"), "image ID")

        with check("podman pulls docker's image"):
            podman.pull(f"{self.bench.address}/hello-world:latest")
