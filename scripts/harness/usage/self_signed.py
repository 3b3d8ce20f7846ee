"""A certificate signed by itself, made as people were told to: X.509 version 1, no SAN."""

import pathlib

from ..checks import equal
from ..dialogue import converse
from .stage import HOST, NO_DAEMON, REMOTE, Steps, contains, push_and_pull

CERTS = pathlib.Path("/certs")
PASSPHRASE = "correct horse"
LEGACY = "x509: certificate relies on legacy Common Name field, use SANs instead"
VARIABLES = {
    "REGISTRY_HTTP_TLS_CERTIFICATE": "/certs/server.crt",
    "REGISTRY_HTTP_TLS_KEY": "/certs/server.key",
}


class SelfSigned(Steps):
    NEEDS = {"openssl": "openssl"}

    def walk(self):
        with self.check("openssl: genrsa -des3, req, rsa, x509 -signkey"):
            self.make()
        with self.stage.image(**VARIABLES) as registry:
            with self.check("it is served, with a warning that says what current clients will do"):
                contains(registry.last_words(), "listening on https://", LEGACY, "subjectAltName")
            with self.check("curl --cacert, and curl -k"):
                for trust in [["--cacert", CERTS / "server.crt"], ["-k"]]:
                    url = f"https://{REMOTE}/v2/"
                    said = self.stage.run("curl", "-sS", *trust, "-w", "%{http_code}", url)
                    equal(said, "{}200", str(trust))
            with self.check("curl without either refuses it"):
                self.stage.refused("curl", "-sS", f"https://{REMOTE}/v2/")
            with self.stage.dockerd() as docker:
                self.refused_by(docker)
            with (
                self.stage.dockerd(**{"insecure-registries": [REMOTE]}) as docker,
                self.check("insecure-registries: push and pull over TLS"),
            ):
                docker.import_files(self.stage.tree(), f"{REMOTE}/hello-world")
                push_and_pull(docker, f"{REMOTE}/hello-world")

    def make(self):
        CERTS.mkdir()
        self._openssl(
            "genrsa -des3 -out server.key 2048", ("Enter", PASSPHRASE), ("Verif", PASSPHRASE)
        )
        self._openssl(
            "req -new -key server.key -out server.csr",
            ("pass phrase", PASSPHRASE),
            ("Country Name", "KR"),
            ("State or Province", "Seoul"),
            ("Locality", "Seoul"),
            ("Organization Name", "Example"),
            ("Organizational Unit", "Development"),
            ("Common Name", HOST),
            ("Email Address", ""),
            ("challenge password", ""),
            ("optional company", ""),
        )
        (CERTS / "server.key").rename(CERTS / "server.key.origin")
        self._openssl("rsa -in server.key.origin -out server.key", ("pass phrase", PASSPHRASE))
        (CERTS / "server.key.origin").unlink()
        self._openssl("x509 -req -days 730 -in server.csr -signkey server.key -out server.crt")
        contains(self._openssl("x509 -in server.crt -noout -text"), "Version: 1 (0x0)")

    def refused_by(self, docker):
        docker.import_files(self.stage.tree(), f"{REMOTE}/hello-world")
        for where in ["not trusted", "trusted in certs.d"]:
            with self.check(f"docker push and login, {where}: current clients want a SAN"):
                said = docker.refused("push", f"{REMOTE}/hello-world")
                contains(said, f'Get "https://{REMOTE}/v2/": {LEGACY}')
                login = ["login", "-u", "testuser", "-p", "testpassword", REMOTE]
                contains(docker.refused(*login), "Error response from daemon: ", LEGACY)
                current = f"tls: failed to verify certificate: {LEGACY}"
                contains(self.stage.refused("docker", *login, **NO_DAEMON), current)
            trusted = pathlib.Path(f"/etc/docker/certs.d/{REMOTE}")
            trusted.mkdir(parents=True, exist_ok=True)
            (trusted / "ca.crt").write_bytes((CERTS / "server.crt").read_bytes())
        (trusted / "ca.crt").unlink()

    def _openssl(self, words, *answers):
        return converse(["openssl", *words.split()], answers, env=self.stage.environment, cwd=CERTS)
