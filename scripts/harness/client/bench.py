"""What the clients share: the registry, a folder, an environment, images to push, and curl."""

import copy
import json
import os
import platform
import subprocess

from ..checks import equal, expect
from ..images import MANIFEST_TYPES, OCI_INDEX, OCI_MANIFEST, digest_of
from ..process import Daemon, clean_environment, run

MIB = 1024 * 1024
# As the OCI names them; the images of an index are for this machine and for another one.
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
OTHER_ARCHITECTURE = "arm64" if ARCHITECTURE == "amd64" else "amd64"


class Bench:
    """What the clients share: the registry, a folder, an environment, and the images they push."""

    def __init__(self, folder, registry, checks):
        self.address = registry.address
        self.check = checks.check
        self.folder = folder
        self.port = registry.port
        for name in ["docker", "home", "run", "tmp"]:
            (folder / name).mkdir()
        (folder / "auth.json").write_text("{}")
        # Nothing of the user's own configuration, and above all no login.
        self.environment = clean_environment(
            *["REGISTRY_", "DOCKER_", "CONTAINER", "BUILDAH_", "STORAGE_"],
            *["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"],
            DOCKER_CONFIG=folder / "docker",
            HOME=folder / "home",
            REGISTRY_AUTH_FILE=folder / "auth.json",
            TMPDIR=folder / "tmp",
            XDG_RUNTIME_DIR=folder / "run",
        )
        self._layout = None

    def run(self, *command, **options):
        return run(*command, env=self.environment, **options)

    def within(self, folder):
        """The same bench, but for the folder."""
        other = copy.copy(self)
        other.folder = folder
        return other

    def tree(self, name):
        """A folder of files, different at each call, to make a layer of."""
        tree = self.folder / "trees" / name
        (tree / "etc").mkdir(parents=True)
        (tree / "etc" / "name").write_text(f"{name}\n")
        (tree / "bytes").write_bytes(os.urandom(3 * MIB))
        return tree

    @property
    def layout(self):
        """An OCI layout with images of this and of another architecture, and an index of both."""
        if self._layout is None:
            self._layout = Layout(self)
        return self._layout


class Client:
    """One client: what it needs, how it starts and ends, and what is checked with it."""

    NEEDS = {}
    ROOT = False

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.folder / "of" / type(self).__name__.lower()
        self.folder.mkdir(parents=True)
        self.daemon = None

    def check(self):
        raise NotImplementedError

    def start(self, *command, probe):
        """Starts the client's daemon, which is ready as soon as the probe succeeds."""
        environment = self.bench.environment
        quiet = {"env": environment, "stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        daemon = Daemon(command, self.folder / "log", environment)
        try:
            ready = daemon.wait_until(lambda: subprocess.run(probe, **quiet).returncode == 0)
            expect(ready, f"{command[0]} ended\n{daemon.last_words()}")
        except BaseException:
            daemon.stop()
            raise
        self.daemon = daemon

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.daemon:
            self.daemon.stop()


class Layout:
    """An OCI image layout that umoci fills: images `here` and `elsewhere`, and the index `both`."""

    def __init__(self, bench):
        self.folder = bench.folder / "layout"
        bench.run("umoci", "init", "--layout", self.folder)
        large = bench.folder / "large"
        large.write_bytes(os.urandom(24 * MIB))
        for tag, architecture in [("here", ARCHITECTURE), ("elsewhere", OTHER_ARCHITECTURE)]:
            image = f"{self.folder}:{tag}"
            tree = bench.tree(tag)
            bench.run("umoci", "new", "--image", image)
            bench.run("umoci", "config", "--image", image, "--architecture", architecture)
            bench.run("umoci", "insert", "--image", image, tree / "etc", "/etc")
            bench.run("umoci", "insert", "--image", image, tree / "bytes", "/bytes")
            bench.run("umoci", "insert", "--image", image, large, "/large")
        self._add_index("both", {"here": ARCHITECTURE, "elsewhere": OTHER_ARCHITECTURE})

    def _add_index(self, tag, children):
        top = json.loads((self.folder / "index.json").read_text())
        manifests = []
        for child, architecture in children.items():
            entry = descriptor(self.folder, child) | {
                "platform": {"architecture": architecture, "os": "linux"}
            }
            del entry["annotations"]
            manifests.append(entry)
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        content = json.dumps(index).encode()
        digest = digest_of(content)
        blob_path(self.folder, digest).write_bytes(content)
        top["manifests"].append(
            {
                "mediaType": OCI_INDEX,
                "digest": digest,
                "size": len(content),
                "annotations": {"org.opencontainers.image.ref.name": tag},
            }
        )
        (self.folder / "index.json").write_text(json.dumps(top))

    def digest(self, tag):
        return descriptor(self.folder, tag)["digest"]

    def image_id(self, tag):
        """The digest of its configuration: what most clients call the image's ID."""
        return json.loads(blob_path(self.folder, self.digest(tag)).read_text())["config"]["digest"]


def descriptor(layout, tag):
    """The descriptor of a tag in an OCI layout."""
    for entry in json.loads((layout / "index.json").read_text())["manifests"]:
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            return entry
    raise KeyError(f"no {tag} in {layout}")


def blob_path(layout, digest):
    return layout / "blobs" / digest.replace(":", "/")


def same_blobs(copy, original, entry):
    """Everything that a descriptor names, down to the layers, is alike in two OCI layouts."""
    content = blob_path(copy, entry["digest"]).read_bytes()
    equal(digest_of(content), entry["digest"], "digest")
    expect(content == blob_path(original, entry["digest"]).read_bytes(), "another content")
    if entry["mediaType"] not in [OCI_MANIFEST, OCI_INDEX]:
        return
    document = json.loads(content)
    for child in document.get("manifests") or [document["config"], *document["layers"]]:
        same_blobs(copy, original, child)


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()


def curl(bench, path, *accept):
    """One GET, by curl itself; it accepts every kind of manifest unless told which."""
    accept = f"Accept: {', '.join(accept or MANIFEST_TYPES)}"
    head, body = bench.folder / "curl-head", bench.folder / "curl-body"
    body.write_bytes(b"")
    url = f"http://{bench.address}{path}"
    bench.run("curl", "-sS", "-H", accept, "-D", head, "-o", body, url)
    status, *fields = head.read_text().splitlines()
    headers = dict(field.split(": ", 1) for field in fields if ": " in field)
    return Reply(
        int(status.split()[1]),
        {name.lower(): value for name, value in headers.items()},
        body.read_bytes(),
    )
