"""A small client of the registry protocol: says exactly what it sends, and keeps every byte."""

import http.client
import json
import time
import urllib.parse

from .checks import Failed, expect
from .images import MANIFEST_TYPES, digest_of

ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
TIMEOUT_SECONDS = 60
# A connection left alone for longer is opened anew: the server may be about to close it.
IDLE_SECONDS = 2


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Wire:
    """One registry, over one connection that is kept."""

    def __init__(self, address):
        self.address = address
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
        self._used = time.monotonic()

    def ask(self, method, path, body=None, headers=None):
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()
        self._connection.request(method, path, body, headers or {})
        reply = Reply(self._connection.getresponse())
        self._used = time.monotonic()
        return reply

    def get(self, path):
        return self.ask("GET", path, headers=ACCEPT)

    def head(self, path):
        return self.ask("HEAD", path, headers=ACCEPT)

    def demand(self, status, method, path, body=None, headers=None):
        reply = self.ask(method, path, body, headers)
        expect(
            reply.status == status,
            f"{method} {path}: expected {status}, found {reply.status} {reply.body[:500]!r}",
        )
        return reply

    def push_blob(self, repository, content, digest=None, chunks=1):
        """POST, one PATCH for each chunk, and a PUT without a body."""
        upload = self.begin_upload(repository)
        size = -(-len(content) // chunks) or 1
        for start in range(0, len(content), size):
            upload = self.append_upload(upload, content[start : start + size], start)
        self.finish_upload(upload, digest or digest_of(content))

    def begin_upload(self, repository):
        return self._place(self.demand(202, "POST", f"/v2/{repository}/blobs/uploads/", b""))

    def append_upload(self, upload, chunk, start):
        headers = {
            "Content-Range": f"{start}-{start + len(chunk) - 1}",
            "Content-Type": "application/octet-stream",
        }
        return self._place(self.demand(202, "PATCH", upload, chunk, headers))

    def finish_upload(self, upload, digest):
        joint = "&" if "?" in upload else "?"
        self.demand(201, "PUT", f"{upload}{joint}digest={urllib.parse.quote(digest)}", b"")

    def mount_blob(self, repository, digest, source):
        query = urllib.parse.urlencode({"mount": digest, "from": source})
        self.demand(201, "POST", f"/v2/{repository}/blobs/uploads/?{query}", b"")

    def put_manifest(self, repository, reference, manifest):
        headers = {"Content-Type": manifest.media_type}
        path = f"/v2/{repository}/manifests/{reference}"
        self.demand(201, "PUT", path, manifest.content, headers)

    def delete(self, repository, kind, reference):
        self.demand(202, "DELETE", f"/v2/{repository}/{kind}/{reference}")

    def pages(self, path, key, size):
        """A whole list, read in pages of `size`."""
        entries, path = [], f"{path}?n={size}"
        while path:
            reply = self.demand(200, "GET", path)
            entries += reply.json()[key]
            path = self._next_page(reply)
        return entries

    def _next_page(self, reply):
        link = reply.headers.get("Link")
        if link is None:
            return None
        if not link.startswith("<") or '; rel="next"' not in link:
            raise Failed(f"Link: {link}")
        return self._path(link[1 : link.index(">")])

    def _place(self, reply):
        return self._path(reply.headers["Location"])

    def _path(self, location):
        """Path and query of a location, which may be absolute (Distribution's) or not (ours)."""
        parts = urllib.parse.urlsplit(location)
        return urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
