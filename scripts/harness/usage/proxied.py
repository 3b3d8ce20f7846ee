"""A proxy in front, as our page says, with TLS ended there and the registry's own passwords."""

import contextlib
import functools
import json
import pathlib
import re

from ..certificates import Authority, san
from ..checks import equal, expect
from ..pages import example
from . import passwords
from .own_authority import trusted
from .stage import HOST, Steps, contains, push_and_pull

UPLOADS = "/v2/proxied/blobs/uploads/"


class Proxied(Steps):
    """The steps are the same with every proxy; `proxy` starts one."""

    # Of the block on the page.
    LANGUAGE = None

    def proxy(self, page, certificate, key):
        """The proxy, once it passes on: with its block of the page, a certificate and its key."""
        raise NotImplementedError

    @contextlib.contextmanager
    def passing(self, name, *command):
        with self.stage.daemon(name, *command) as daemon:
            # It passes nothing on before it has seen the registry well.
            asked = ["curl", "-skf", "-o", "/dev/null", f"https://{HOST}/"]
            ready = daemon.wait_until(lambda: self.stage.attempt(*asked)[0] == 0)
            expect(ready, f"{name} ended\n{daemon.last_words()}")
            yield

    def walk(self):
        passwords.make_user(self.stage)
        self.authority = Authority(self.folder / "ca")
        certificate, key = self.authority.sign(HOST, san(HOST))
        page = example("docs/how-to/behind-a-proxy.md", self.LANGUAGE)
        with trusted(self.authority, HOST):
            front = functools.partial(self.proxy, page, certificate, key)
            with self.serve() as registry, front():
                with self.check("nobody is trusted: Location is relative"):
                    equal(self.location()[:1], "/", "the begin of Location")
                self.docker(registry, seen="127.0.0.1")
            with self.serve(trustedproxies=["127.0.0.1"]) as registry, front():
                with self.check("the proxy is trusted: Location is what the client asked"):
                    contains(self.location(), f"https://{HOST}/v2/proxied/blobs/uploads/")
                self.docker(registry, seen="192.0.2.1")
                with self.check("what a client says for itself does not count"):
                    for said in ["X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"]:
                        contains(self.location(said), f"https://{HOST}/")
            with self.serve(host="https://elsewhere.example.org"), front():
                with self.check("http.host: Location has it"):
                    contains(self.location(), "https://elsewhere.example.org/v2/")

    def serve(self, **http):
        configuration = self.folder / "config.yml"
        configuration.write_text(
            json.dumps(
                {
                    "version": 0.1,
                    "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
                    "auth": {"htpasswd": {"realm": "here", "path": "/auth/htpasswd"}},
                    "http": {"addr": "127.0.0.1:5000", **http},
                }
            )
        )
        return self.stage.serve(configuration)

    def docker(self, registry, seen):
        image = f"{HOST}/proxied"
        with (
            self.stage.dockerd() as docker,
            self.check(f"docker login, push, pull; {seen} is logged"),
        ):
            docker.import_files(self.stage.tree(), image)
            contains(docker.refused("push", image), "no basic auth credentials")
            contains(docker.run(*passwords.LOGIN, HOST), "Login Succeeded")
            push_and_pull(docker, image)
            docker.run("logout", HOST)
            log = pathlib.Path(registry.log).read_text()
            line = rf'^{re.escape(seen)} - testuser .*"POST {UPLOADS}'
            expect(re.search(line, log, re.MULTILINE), log)

    def location(self, *headers):
        command = ["curl", "-sS", "-X", "POST", "-o", "/dev/null", "-w", "%header{location}"]
        for header in headers:
            command += ["-H", header]
        command += ["--cacert", self.authority.certificate, "-u", "testuser:testpassword"]
        return self.stage.run(*command, f"https://{HOST}{UPLOADS}")
