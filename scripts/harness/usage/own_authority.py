"""The image's own configuration, with TLS by variables: a chain, as certificate robots leave it, of
an authority that clients may or may not know."""

import pathlib

from ..certificates import Authority, san
from ..checks import equal, expect
from .stage import HOST, NO_DAEMON, REMOTE, Steps, contains, push_and_pull

LIVE = pathlib.Path(f"/certs/live/{HOST}")
UNKNOWN = "x509: certificate signed by unknown authority"
VARIABLES = {
    "REGISTRY_HTTP_TLS_CERTIFICATE": f"/certs/live/{HOST}/fullchain.pem",
    "REGISTRY_HTTP_TLS_KEY": f"/certs/live/{HOST}/privkey.pem",
}


class OwnAuthority(Steps):
    NEEDS = {"openssl": "openssl"}

    def walk(self):
        authority = Authority(self.folder / "ca")
        certify(authority, LIVE)
        with self.stage.image(**VARIABLES) as registry:
            with self.check("the variables turn TLS on, and the start says so"):
                contains(
                    registry.last_words(),
                    "TLS: on, certificate from /certs/live/",
                    "storage: filesystem, in /var/lib/registry",
                    "listening on https://",
                )
            with self.check("curl --cacert"):
                self.curl(authority)
            with self.stage.dockerd() as docker:
                docker.import_files(self.stage.tree(), f"{REMOTE}/hello-world")
                self.unknown(docker)
                with trusted(authority, REMOTE):
                    self.known(docker)
            with self.check("the content is where the image keeps it"):
                found = pathlib.Path(
                    "/var/lib/registry/docker/registry/v2/repositories/hello-world"
                )
                expect(found.is_dir(), f"no {found}")

    def curl(self, authority):
        command = ["curl", "-sS", "--cacert", authority.certificate, "-w", "%{http_code}"]
        equal(self.stage.run(*command, f"https://{REMOTE}/v2/"), "{}200", "answer")
        said = self.stage.refused("curl", "-sS", f"https://{REMOTE}/v2/")
        contains(said, "unable to get local issuer certificate")

    def unknown(self, docker):
        login = ["login", "-u", "testuser", "-p", "testpassword", REMOTE]
        with self.check("docker does not know the authority: push and login say so"):
            said = docker.refused("push", f"{REMOTE}/hello-world")
            contains(said, f'Get "https://{REMOTE}/v2/": {UNKNOWN}')
            contains(docker.refused(*login), "Error response from daemon: ", UNKNOWN)
            current = f"tls: failed to verify certificate: {UNKNOWN}"
            contains(self.stage.refused("docker", *login, **NO_DAEMON), current)

    def known(self, docker):
        with self.check("the authority in certs.d, without a restart: login, push, pull"):
            login = ["login", "-u", "testuser", "-p", "testpassword", REMOTE]
            contains(docker.run(*login), "Login Succeeded")
            push_and_pull(docker, f"{REMOTE}/hello-world")


def certify(authority, place):
    """Leaves a key and a chain in a folder, as certificate robots do: the root is not in it."""
    place.mkdir(parents=True, exist_ok=True)
    between = authority.intermediate("intermediate")
    curve = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
    certificate, key = between.sign(HOST, san(HOST), key=curve)
    chain = certificate.read_text() + between.certificate.read_text()
    (place / "fullchain.pem").write_text(chain)
    key.rename(place / "privkey.pem")


class trusted:
    """Makes Docker and podman trust an authority for one registry, for as long as it is needed."""

    def __init__(self, authority, registry):
        self.file = pathlib.Path(f"/etc/docker/certs.d/{registry}/ca.crt")
        self.content = authority.certificate.read_bytes()

    def __enter__(self):
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(self.content)

    def __exit__(self, *_):
        self.file.unlink()
