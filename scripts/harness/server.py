"""Starts a registry, ours or Distribution's: both take `serve CONFIG`, and the same one."""

import http.client
import json
import os
import pathlib
import subprocess

from .checks import Failed
from .process import Daemon, clean_environment, free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
# Somebody else may take the port between the look and the bind.
PORT_TRIES = 5


def our_binary():
    """The program under test: $REGISTRY_BIN, else a release build of this checkout."""
    given = os.environ.get("REGISTRY_BIN")
    if given:
        return given
    print("building the release binary", flush=True)
    build = subprocess.run(
        ["cargo", "build", "--release", "--bin", "registry", "--message-format=json"],
        check=True,
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in build.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "registry" and message.get("executable"):
            return message["executable"]
    raise Failed("cargo built no binary named registry")


def filesystem(root):
    return {"filesystem": {"rootdirectory": str(root)}}


def in_memory():
    return {"inmemory": {}}


class Registry:
    """A running registry on a loopback port of its own, with deletes on."""

    def __init__(self, binary, storage, folder, name="registry", **sections):
        self.binary = binary
        self.folder = pathlib.Path(folder)
        self.name = name
        self.sections = {
            "version": "0.1",
            "storage": {**storage, "delete": {"enabled": True}},
            **sections,
        }
        for _ in range(PORT_TRIES):
            self.port = free_port()
            self.address = f"127.0.0.1:{self.port}"
            self.daemon = Daemon(
                [binary, "serve", self.configuration()],
                self.folder / f"{name}.log",
                clean_environment("REGISTRY_"),
            )
            try:
                if self.daemon.wait_until(self._answers):
                    return
            except BaseException:
                self.daemon.stop()
                raise
            if "address already in use" not in self.daemon.last_words().lower():
                break
        raise Failed(f"{binary} does not start\n{self.daemon.last_words()}")

    def configuration(self):
        """Writes the configuration file anew and returns its path."""
        path = self.folder / f"{self.name}.yml"
        own = {"http": {"addr": self.address, **self.sections.get("http", {})}}
        path.write_text("\n".join(yaml_lines({**self.sections, **own})) + "\n")
        return path

    def stop(self):
        """Ends it, and says so when it had ended by itself before."""
        fallen = self.daemon.process.poll()
        self.daemon.stop()
        if fallen is not None:
            raise Failed(
                f"{self.binary} ended by itself (status {fallen})\n{self.daemon.last_words()}"
            )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.daemon.stop()

    def _answers(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/v2/")
            # Somebody else's server on this port would not be one of ours, still in `poll`.
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def yaml_lines(mapping, indent=""):
    for key, value in mapping.items():
        if not isinstance(value, dict):
            # JSON's scalars are YAML's, but for the version, which is written bare everywhere.
            yield f"{indent}{key}: {value if key == 'version' else json.dumps(value)}"
        elif value:
            yield f"{indent}{key}:"
            yield from yaml_lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {{}}"
