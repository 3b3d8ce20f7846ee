"""HAProxy in front, as our page says, with TLS ended there and the registry's own passwords."""

import contextlib
import json
import pathlib
import re

from ..certificates import Authority, san
from ..checks import equal, expect
from ..pages import example
from . import passwords
from .own_authority import trusted
from .stage import HOST, Steps, contains, push_and_pull

UPLOADS = "/v2/haproxy/blobs/uploads/"


class Haproxy(Steps):
    NEEDS = {"haproxy": "haproxy", "openssl": "openssl"}

    def walk(self):
        passwords.make_user(self.stage)
        self.authority = Authority(self.folder / "ca")
        certificate, key = self.authority.sign(HOST, san(HOST))
        pem = pathlib.Path("/etc/haproxy/registry.pem")
        pem.write_text(certificate.read_text() + key.read_text())
        page = self.folder / "haproxy.cfg"
        page.write_text(example("docs/how-to/behind-a-proxy.md", "haproxy"))
        with trusted(self.authority, HOST):
            with self.serve() as registry, self.haproxy(page):
                with self.check("nobody is trusted: Location is relative"):
                    equal(self.location()[:1], "/", "the begin of Location")
                self.docker(registry, seen="127.0.0.1")
            with self.serve(trustedproxies=["127.0.0.1"]) as registry, self.haproxy(page):
                with self.check("HAProxy is trusted: Location is what the client asked"):
                    contains(self.location(), f"https://{HOST}/v2/haproxy/blobs/uploads/")
                self.docker(registry, seen="192.0.2.1")
                with self.check("what a client says for itself does not count"):
                    for said in ["X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"]:
                        contains(self.location(said), f"https://{HOST}/")
            with self.serve(host="https://elsewhere.example.org"), self.haproxy(page):
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
        image = f"{HOST}/haproxy"
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

    @contextlib.contextmanager
    def haproxy(self, configuration):
        with self.stage.daemon("haproxy", "haproxy", "-db", "-f", configuration) as daemon:
            # It passes nothing on before it has seen the registry well.
            command = ["curl", "-skf", "-o", "/dev/null", f"https://{HOST}/"]
            ready = daemon.wait_until(lambda: self.stage.attempt(*command)[0] == 0)
            expect(ready, f"haproxy ended\n{daemon.last_words()}")
            yield
