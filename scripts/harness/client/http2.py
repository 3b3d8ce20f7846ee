"""curl over HTTP/2 by prior knowledge: a push and a pull, whole and in part, and a refusal."""

import json
import os

from ..checks import equal, expect
from ..images import OCI_MANIFEST, digest_of
from .bench import MIB, Client

EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


class Http2(Client):
    NEEDS = {"curl": "curl"}
    REPOSITORY = "over/http2"

    def check(self):
        content = os.urandom(24 * MIB)
        with self.bench.check("a layer is pushed in two chunks"):
            self.push(content, cut=9 * MIB + 1)
            self.push(EMPTY)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor(EMPTY_TYPE, EMPTY),
                "layers": [descriptor(LAYER_TYPE, content)],
            }
        ).encode()
        with self.bench.check("a manifest is pushed and read by tag"):
            path = f"/v2/{self.REPOSITORY}/manifests/h2"
            self.ask("PUT", path, 201, manifest, f"Content-Type: {OCI_MANIFEST}")
            _, found = self.ask("GET", path, 200)
            expect(found == manifest, "another manifest")
        blob = f"/v2/{self.REPOSITORY}/blobs/{digest_of(content)}"
        with self.bench.check("the layer is read, whole and in part"):
            _, found = self.ask("GET", blob, 200)
            expect(found == content, "another layer")
            headers, found = self.ask("GET", blob, 206, None, "Range: bytes=1000000-2999999")
            expect(found == content[1000000:3000000], "another part")
            equal(headers["content-range"], f"bytes 1000000-2999999/{len(content)}", "range")
        with self.bench.check("a refused body leaves the next request alone"):
            upload = self.begin()
            digest = digest_of(b"something else")
            self.ask("PUT", f"{upload}digest={digest}", 400, content[: 2 * MIB])
            _, found = self.ask("GET", f"/v2/{self.REPOSITORY}/tags/list", 200)
            equal(json.loads(found)["tags"], ["h2"], "tags")

    def push(self, content, cut=0):
        upload = self.begin()
        if cut:
            span = f"Content-Range: 0-{cut - 1}"
            headers, _ = self.ask("PATCH", upload.rstrip("?&"), 202, content[:cut], span)
            upload = joined(headers["location"])
        digest = digest_of(content)
        headers, _ = self.ask("PUT", f"{upload}digest={digest}", 201, content[cut:])
        equal(headers["docker-content-digest"], digest, "digest")

    def begin(self):
        path = f"/v2/{self.REPOSITORY}/blobs/uploads/"
        headers, _ = self.ask("POST", path, 202, b"")
        return joined(headers["location"])

    def ask(self, method, path, status, body=None, *headers):
        """One request, which must be answered with that status over HTTP/2."""
        head, answer, sent = (self.folder / name for name in ["head", "answer", "sent"])
        answer.write_bytes(b"")
        command = ["curl", "-sS", "--http2-prior-knowledge", "-D", head, "-o", answer]
        command += ["-X", method]
        if body is not None:
            sent.write_bytes(body)
            command += ["--data-binary", f"@{sent}"]
            headers = ("Content-Type: application/octet-stream",) * (not headers) + headers
        for header in headers:
            command += ["-H", header]
        self.bench.run(*command, f"http://{self.bench.address}{path}")
        first, *fields = head.read_text().splitlines()
        equal(first.split()[:2], ["HTTP/2", str(status)], f"{method} {path}")
        split = (field.split(": ", 1) for field in fields if ": " in field)
        return {name.lower(): value for name, value in split}, answer.read_bytes()


def descriptor(media_type, content):
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def joined(location):
    """A Location, ready for one more parameter."""
    return location + ("&" if "?" in location else "?")
