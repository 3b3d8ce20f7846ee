"""Where the steps are taken: a folder, the registry under test, Docker daemons, and a host name."""

import contextlib
import os
import pathlib
import shutil

from ..apart import name_host
from ..checks import expect
from ..dockerd import Dockerd
from ..process import Daemon, attempt, clean_environment, refused, run
from ..server import TOP

# It leads to an address that docker does not take for insecure by itself.
HOST = "registry.example.org"
REMOTE = f"{HOST}:5000"
# A place where no daemon listens: there the client logs in by itself.
NO_DAEMON = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
MIB = 1024 * 1024


class Steps:
    """One subject: the programs that it needs beside docker and curl, and its steps."""

    NEEDS = {}

    def __init__(self, stage):
        self.stage = stage
        self.check = stage.check
        self.folder = stage.folder

    def walk(self):
        raise NotImplementedError


class Stage:
    """What one subject has for itself."""

    def __init__(self, binary, folder, checks):
        self.binary = binary
        self.check = checks.check
        self.folder = folder
        self.environment = clean_environment(
            *["REGISTRY_", "DOCKER_", "CONTAINER", "BUILDAH_", "STORAGE_", "SSL_CERT_", "CURL_"],
            *["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"],
            DOCKER_CONFIG=folder / "docker",
            HOME=folder,
            LC_ALL="C.UTF-8",
            TMPDIR=folder / "tmp",
            XDG_RUNTIME_DIR=folder / "run",
        )
        for name in ["docker", "run", "tmp"]:
            (folder / name).mkdir(parents=True)
        # podman takes it for an error when there is none.
        (folder / "docker" / "config.json").write_text("{}")
        self._names = 0

    def run(self, *words, **variables):
        return run(*words, cwd=self.folder, env=self.environment | variables)

    def refused(self, *words, **variables):
        return refused(*words, cwd=self.folder, env=self.environment | variables)

    def attempt(self, *words, **variables):
        return attempt(*words, cwd=self.folder, env=self.environment | variables)

    @contextlib.contextmanager
    def serve(self, *arguments, passed=None, umask=-1, **variables):
        """The registry, once it says that it listens; these are all the variables that it has. It is
        handed the socket `passed`, as by systemd."""
        environment = self.environment | variables
        command = [self.binary, "serve", *arguments]
        if passed is not None:
            # The shell puts the socket where it is expected, and says whom it is for.
            script = f'exec 3<&{passed}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
            command = ["bash", "-c", script, "bash", *command]
        options = {"umask": umask, "pass_fds": [] if passed is None else [passed]}
        with self.daemon("registry", *command, env=environment, **options) as daemon:
            ready = daemon.wait_until(lambda: "listening on" in daemon.last_words())
            expect(ready, f"the registry does not start\n{daemon.last_words()}")
            yield daemon
            fallen = daemon.process.poll()
            expect(fallen is None, f"the registry ended by itself\n{daemon.last_words()}")

    def image(self, **variables):
        """The registry as the image `registry:2` starts it: its file, and variables over it."""
        file = pathlib.Path("/etc/docker/registry/config.yml")
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / "registry-bin/tests/stock/image-registry-2.yml", file)
        return self.serve(file, **variables)

    def daemon(self, name, *command, env=None, **options):
        self._names += 1
        log = self.folder / f"{self._names}-{name}.log"
        return Daemon(command, log, env or self.environment, **options)

    def dockerd(self, **settings):
        self._names += 1
        return Dockerd(self.folder / f"{self._names}-dockerd", self.environment, **settings)

    def tree(self):
        """A folder of files, different at each call, to make an image of."""
        self._names += 1
        tree = self.folder / f"{self._names}-tree"
        tree.mkdir()
        (tree / "SUCCESS").write_bytes(os.urandom(3 * MIB))
        return tree


def push_and_pull(docker, image):
    """An image of its own is pushed, forgotten, and is the same when it was pulled."""
    docker.push(image)
    image_id = docker.image_id(image)
    docker.run("rmi", "--force", image_id)
    docker.run("pull", image)
    expect(docker.image_id(image) == image_id, f"another image was pulled as {image}")


def contains(said, *texts):
    for text in texts:
        expect(text in said, f"expected {text!r} in:\n{said}")


def settle():
    """What every subject finds: the host's name."""
    name_host(HOST, "private.registry.docker.example.com")
