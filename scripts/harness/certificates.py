"""An authority of one's own and what it signs, by the openssl commands that the write-ups print."""

from .process import run

SUBJECT = "/C=DE/O=Example/CN="


class Authority:
    """Signs certificates; `certificate` is what clients are given to trust."""

    def __init__(self, folder, name="ca"):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / f"{name}.crt"
        self.key = folder / f"{name}.key"
        run("openssl", "genrsa", "-out", self.key, "2048")
        self._openssl(
            *["req", "-x509", "-new", "-nodes", "-key", self.key, "-days", "10000"],
            *["-out", self.certificate, "-subj", f"{SUBJECT}{name}"],
        )

    def sign(self, host, *extensions, name=None, key="genrsa"):
        """The certificate and the key of a host. Without extensions it is X.509 version 1."""
        name = name or host
        certificate, own, request = (
            self.folder / f"{name}.{kind}" for kind in ["crt", "key", "csr"]
        )
        if key == "genrsa":
            run("openssl", "genrsa", "-out", own, "2048")
        else:
            run("openssl", "genpkey", *key.split(), "-out", own)
        self._openssl("req", "-new", "-key", own, "-out", request, "-subj", f"{SUBJECT}{host}")
        options = ["-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"]
        if extensions:
            written = self.folder / f"{name}.ext"
            written.write_text("\n".join(extensions) + "\n")
            options += ["-extfile", written]
        days = ["-days", "10000"]
        self._openssl("x509", "-req", "-in", request, *options, "-out", certificate, *days)
        return certificate, own

    def intermediate(self, name):
        """Another authority, which this one vouches for."""
        other = object.__new__(Authority)
        other.folder = self.folder
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"]
        other.certificate, other.key = self.sign(name, *extensions)
        return other

    def _openssl(self, *words):
        run("openssl", *words, cwd=self.folder)


def san(*hosts):
    """The extension that current clients insist on."""
    return f"subjectAltName={','.join(f'DNS:{host}' for host in hosts)}"
