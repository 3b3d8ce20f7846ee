"""A Docker daemon in folders of its own, with its client."""

import json
import re
import subprocess

from .checks import equal, expect
from .process import Daemon, refused, run

NEEDS = {"dockerd": "docker.io", "docker": "docker.io"}


class Dockerd:
    """A running daemon. Settings are those of its `daemon.json`."""

    def __init__(self, folder, environment, **settings):
        self.folder = folder
        self.socket = f"unix://{folder}/docker.sock"
        self.environment = {**environment, "DOCKER_HOST": self.socket}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "daemon.json").write_text(json.dumps(settings))
        command = [
            *["dockerd", "--config-file", folder / "daemon.json"],
            *["--data-root", folder / "data", "--exec-root", folder / "exec"],
            *["--host", self.socket, "--pidfile", folder / "pid"],
            *["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"],
        ]
        self.daemon = Daemon(command, folder / "log", environment)
        try:
            ready = self.daemon.wait_until(self._answers)
            expect(ready, f"dockerd ended\n{self.daemon.last_words()}")
        except BaseException:
            self.daemon.stop()
            raise

    def run(self, *words, **options):
        return run("docker", *words, env=self.environment, **options)

    def refused(self, *words):
        return refused("docker", *words, env=self.environment)

    def import_files(self, tree, image):
        """Makes an image of a folder and returns its ID."""
        archive = self.folder / "import.tar"
        run("tar", "-C", tree, "-cf", archive, ".")
        return self.run("import", archive, image).strip()

    def push(self, image):
        """The digest that it printed, and the last word about each layer."""
        said = self.run("push", image)
        digest = re.search(r"digest: (sha256:[0-9a-f]{64}) size: ", said)
        expect(digest, f"no digest:\n{said}")
        layers = dict(re.findall(r"^([0-9a-f]{12}): (.*)$", said, re.MULTILINE))
        return digest[1], list(layers.values())

    def image_id(self, image):
        return self.run("image", "inspect", "--format", "{{.Id}}", image).strip()

    def remove_all(self):
        ids = self.run("images", "--all", "--quiet").split()
        if ids:
            self.run("rmi", "--force", *sorted(set(ids)))
        equal(self.run("images", "--all", "--quiet"), "", "images left")

    def stop(self):
        self.daemon.stop()

    def _answers(self):
        quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        command = ["docker", "version"]
        return subprocess.run(command, env=self.environment, **quiet).returncode == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
