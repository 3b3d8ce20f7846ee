"""Caddy in front, with a certificate from a file: there is no authority to ask here."""

from ..checks import expect
from .proxied import Proxied


class Caddy(Proxied):
    NEEDS = {"caddy": "caddy", "openssl": "openssl"}
    LANGUAGE = "caddyfile"

    def proxy(self, page, certificate, key):
        begin = "reverse_proxy "
        expect(page.count(begin) == 1, f"another block than expected:\n{page}")
        configuration = self.folder / "Caddyfile"
        configuration.write_text(page.replace(begin, f"tls {certificate} {key}\n    {begin}"))
        caddy = ["caddy", "run", "--adapter", "caddyfile", "--config", configuration]
        return self.passing("caddy", *caddy)
