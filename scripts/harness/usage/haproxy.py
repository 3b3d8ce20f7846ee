"""HAProxy in front."""

import pathlib

from .proxied import Proxied


class Haproxy(Proxied):
    NEEDS = {"haproxy": "haproxy", "openssl": "openssl"}
    LANGUAGE = "haproxy"

    def proxy(self, page, certificate, key):
        pem = pathlib.Path("/etc/haproxy/registry.pem")
        pem.write_text(certificate.read_text() + key.read_text())
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(page)
        return self.passing("haproxy", "haproxy", "-db", "-f", configuration)
