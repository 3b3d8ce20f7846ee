"""nginx in front, as it was set up for docker-registry: passwords, later TLS, are its own; all that
it tells the registry is the host and the client's address, over HTTP/1.0. And as our page says."""

import contextlib
import os
import pathlib
import re
import shutil
import socket

from ..certificates import Authority, san
from ..checks import equal, expect
from ..dialogue import converse
from ..pages import example
from ..process import run
from . import passwords
from .own_authority import trusted
from .stage import HOST, NO_DAEMON, Steps, contains, push_and_pull

SITE = pathlib.Path("/etc/nginx/sites-enabled/docker-registry")
USERS = pathlib.Path("/etc/nginx/docker-registry.htpasswd")
NAME = "private.registry.docker.example.com"
LEGACY = "x509: certificate relies on legacy Common Name field, use SANs instead"
LOGIN = ["login", "-u", "USERNAME", "-p", "PASSWORD"]
PAGE = "docs/how-to/move-from-docker-registry.md"
OURS = "docs/how-to/behind-a-proxy.md"


class Nginx(Steps):
    NEEDS = {"htpasswd": "apache2-utils", "nginx": "nginx", "openssl": "openssl"}

    def walk(self):
        with self.check("htpasswd -c: an apr1 hash"):
            answers = [("password: ", "PASSWORD"), ("Re-type", "PASSWORD")]
            converse(["htpasswd", "-c", USERS, "USERNAME"], answers)
            contains(USERS.read_text(), "USERNAME:$apr1$")
        with self.stage.serve():
            with self.nginx(example(PAGE, "nginx")):
                self.three_questions()
                self.pings()
                self.docker_plain()
            self.with_tls(current=False)
            self.with_tls(current=True)
        self.as_our_page_says()
        self.by_a_socket()
        with self.check("the registry says that it lets nobody in by apr1, and what to do"):
            variables = passwords.VARIABLES | {"REGISTRY_AUTH_HTPASSWD_PATH": str(USERS)}
            with self.stage.serve(**variables) as registry:
                said = registry.last_words()
                contains(said, "USERNAME", "registry htpasswd")
                expect("$apr1$" not in said, "the hash is in the log")

    def three_questions(self):
        def curl(url):
            return self.stage.run("curl", "-sS", "-w", "%{http_code}", url)

        with self.check("curl localhost:5000; localhost:8080; USERNAME:PASSWORD@localhost:8080"):
            first = curl("localhost:5000")
            equal(first, "200", "localhost:5000")
            contains(curl("localhost:8080"), "401 Authorization Required", "401")
            equal(curl("USERNAME:PASSWORD@localhost:8080"), first, "with the password")

    def pings(self):
        with self.check("/_ping and /v1/_ping pass without a password, and nothing else does"):
            for path, status in [
                ("/_ping", 200),
                ("/v1/_ping", 200),
                ("/v1/users/", 401),
                ("/v2/", 401),
            ]:
                command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}"]
                equal(self.stage.run(*command, f"localhost:8080{path}"), str(status), path)

    def docker_plain(self):
        with self.stage.dockerd() as docker:
            image = "localhost:8080/test-image"
            with self.check("docker: touch /SUCCESS, commit"):
                docker.import_files(self.stage.tree(), "ubuntu")
                container = docker.run("create", "ubuntu", "true").strip()
                docker.run("cp", self.stage.tree() / "SUCCESS", f"{container}:/SUCCESS")
                docker.run("commit", container, "test-image")
                docker.run("tag", "test-image", image)
                docker.run("rm", container)
            with self.check("docker push without a login"):
                contains(docker.refused("push", image), "no basic auth credentials")
            with self.check("docker login http://localhost:8080, asked for both"):
                command = ["docker", "login", "http://localhost:8080"]
                answers = [("Username.*: ", "USERNAME"), ("Password: ", "PASSWORD")]
                said = converse(command, answers, env=docker.environment)
                contains(said, "Login Succeeded")
            with self.check("docker push and pull, through HTTP/1.0"):
                push_and_pull(docker, image)
                docker.run("logout", "localhost:8080")

    def with_tls(self, current):
        """Its `ssl` lines uncommented, with a certificate of an authority that the system knows;
        such a certificate as people made then, or one that current clients take."""
        kind = "with a SAN" if current else "as printed, without a SAN"
        authority = Authority(self.folder / f"ca-{current}", "devdockerCA")
        tls = install(authority, *([san(NAME)] if current else []))
        trusted_here = pathlib.Path("/usr/local/share/ca-certificates/docker-dev-cert")
        trusted_here.mkdir(exist_ok=True)
        (trusted_here / "devdockerCA.crt").write_bytes(authority.certificate.read_bytes())
        run("update-ca-certificates", "--fresh")
        image, where = f"{NAME}:8080/test-image", f"{NAME}:8080"
        with self.nginx(tls), self.stage.dockerd() as docker:
            with self.check(f"TLS at nginx, {kind}: curl https://USER:PASS@{where}"):
                url = f"https://USERNAME:PASSWORD@{where}"
                equal(self.stage.run("curl", "-sS", "-w", "%{http_code}", url), "200", "answer")
            docker.import_files(self.stage.tree(), image)
            if current:
                with self.check(f"TLS at nginx, {kind}: docker login, push, pull"):
                    contains(docker.run(*LOGIN, where), "Login Succeeded")
                    push_and_pull(docker, image)
                    docker.run("logout", where)
                return
            with self.check(f"TLS at nginx, {kind}: docker wants a SAN, trusted or not"):
                contains(docker.refused(*LOGIN, where), LEGACY)
                contains(self.stage.refused("docker", *LOGIN, where, **NO_DAEMON), LEGACY)
                contains(docker.refused("push", image), LEGACY)

    def as_our_page_says(self):
        passwords.make_user(self.stage)
        authority = Authority(self.folder / "ca-ours")
        certificate, key = authority.sign(HOST, san(HOST))
        pathlib.Path("/etc/ssl/registry.crt").write_bytes(certificate.read_bytes())
        pathlib.Path("/etc/ssl/registry.key").write_bytes(key.read_bytes())
        variables = passwords.VARIABLES | {"REGISTRY_HTTP_TRUSTEDPROXIES": "[127.0.0.1]"}
        with (
            self.stage.serve(**variables) as registry,
            self.nginx(example(OURS, "nginx")),
            trusted(authority, HOST),
            self.stage.dockerd() as docker,
        ):
            with self.check("nginx as our page says: the registry's password, push, pull"):
                docker.import_files(self.stage.tree(), f"{HOST}/image")
                contains(docker.refused("push", f"{HOST}/image"), "no basic auth credentials")
                contains(docker.run(*passwords.LOGIN, HOST), "Login Succeeded")
                push_and_pull(docker, f"{HOST}/image")
                docker.run("logout", HOST)
            with self.check("nginx as our page says: the log has the client's address"):
                log = pathlib.Path(registry.log).read_text()
                expect(re.search(r'^192\.0\.2\.1 .*"POST /v2/image/blobs', log, re.M), log)

    def by_a_socket(self):
        """The socket's file is made by the registry, in the folder of our page; or passed on with the
        rights of our unit, as systemd does."""
        site = example(OURS, "nginx")
        over = example(OURS, "nginx", "unix:").strip()
        site, changed = re.subn(r"proxy_pass .*;", over, site)
        equal(changed, 1, "lines with proxy_pass")
        configuration = self.folder / "socket.yml"
        configuration.write_text(example(OURS, "yaml", "net: unix"))
        path = pathlib.Path("/run/registry/registry.sock")
        folder = example(OURS, "console", "install -d").splitlines()[0].removeprefix("$ ")
        self.stage.run("bash", "-c", folder.replace("sudo ", ""))
        with self.stage.serve(configuration, umask=0o022), self.nginx(site):
            with self.check("nginx and a socket that others may not write: 502"):
                equal(self.through(), "502", "answer")
        with self.stage.serve(configuration, umask=0o007) as registry, self.nginx(site):
            with self.check("nginx and a socket as our page says"):
                equal(path.group(), "www-data", "the group")
                equal(self.through(), "200", "answer")
            with self.check("nginx and a socket: the log has the client's address"):
                log, line = pathlib.Path(registry.log), r'^192\.0\.2\.1 .*"GET /v2/ '
                # It is written some time after the answer.
                said = registry.wait_until(lambda: re.search(line, log.read_text(), re.M))
                expect(said, log.read_text())
        with self.passed_on() as other, self.nginx(site.replace(str(path), other)):
            with self.check("nginx and a socket with the rights of our unit"):
                equal(self.through(), "200", "answer")

    def through(self):
        """The status of an answer that came through nginx."""
        asked = ["curl", "-sSk", "-o", "/dev/null", "-w", "%{http_code}"]
        return self.stage.run(*asked, f"https://{HOST}/v2/")

    @contextlib.contextmanager
    def passed_on(self):
        """A registry that is handed the socket of our unit's drop-in."""
        lines = example(OURS, "ini", "[Socket]").splitlines()
        unit = dict(line.split("=", 1) for line in lines if "=" in line)
        path = unit["ListenStream"]
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            shutil.chown(path, group=unit["SocketGroup"])
            os.chmod(path, int(unit["SocketMode"], 8))
            listener.listen()
            with self.stage.serve(passed=listener.fileno(), REGISTRY_STORAGE="inmemory"):
                yield path

    @contextlib.contextmanager
    def nginx(self, site):
        SITE.write_text(site)
        run("nginx", "-t")
        with self.stage.daemon("nginx", "nginx", "-g", "daemon off;") as daemon:
            pid = pathlib.Path("/run/nginx.pid")
            ready = daemon.wait_until(lambda: pid.exists() and pid.read_text().strip())
            expect(ready, f"nginx ended\n{daemon.last_words()}")
            yield


def install(authority, *extensions):
    """Puts a certificate where the site expects it; the site, with its `ssl` lines uncommented."""
    certificate, key = authority.sign(NAME, *extensions)
    pathlib.Path("/etc/ssl/certs/docker-registry").write_bytes(certificate.read_bytes())
    pathlib.Path("/etc/ssl/private").mkdir(exist_ok=True)
    pathlib.Path("/etc/ssl/private/docker-registry").write_bytes(key.read_bytes())
    site = example(PAGE, "nginx").replace("# ssl", "ssl")
    version = re.search(r"nginx/1\.(\d+)", run("nginx", "-v"))
    if version and int(version[1]) >= 25:
        # Since then it has another way to say it.
        site = site.replace("ssl on;", "").replace("listen 8080;", "listen 8080 ssl;")
    return site
