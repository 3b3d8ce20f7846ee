"""curl, for what lists and blobs look like when everybody has pushed."""

import json
import re

from ..checks import equal, expect
from ..images import digest_of
from .bench import Client, curl


class Curl(Client):
    NEEDS = {"curl": "curl"}

    def check(self):
        check = self.bench.check
        everything = []

        with check("catalog: every repository, in byte order"):
            reply = curl(self.bench, "/v2/_catalog")
            equal(reply.headers["docker-distribution-api-version"], "registry/2.0", "version")
            everything = json.loads(reply.body)["repositories"]
            expect(len(everything) >= 2, f"too few to check: {everything}")
            equal(everything, sorted(everything, key=str.encode), "order")

        with check("catalog: pages are followed to the end, without a gap"):
            for size in [1, 3]:
                equal(self._pages("/v2/_catalog", "repositories", size), everything, f"n={size}")

        with check("catalog: goes on after `last`"):
            reply = curl(self.bench, f"/v2/_catalog?last={everything[0]}")
            equal(json.loads(reply.body)["repositories"], everything[1:], "repositories")

        with check("tags of each repository, and each tag's manifest and blobs"):
            for repository in everything:
                listed = json.loads(curl(self.bench, f"/v2/{repository}/tags/list").body)
                equal(listed["name"], repository, "name")
                for tag in listed["tags"]:
                    self._whole(repository, tag)

        with check("tags of a repository that is not there"):
            reply = curl(self.bench, "/v2/absent/tags/list")
            equal(reply.status, 404, "status")
            equal(json.loads(reply.body)["errors"][0]["code"], "NAME_UNKNOWN", "code")

    def _pages(self, path, key, size):
        entries, query = [], f"?n={size}"
        while query is not None:
            reply = curl(self.bench, path + query)
            page = json.loads(reply.body)[key]
            expect(len(page) <= size, f"{len(page)} entries on a page of {size}")
            entries += page
            link = re.fullmatch(r'<([^>]*)>; *rel="next"', reply.headers.get("link", ""))
            expect(link or "link" not in reply.headers, f"Link: {reply.headers.get('link')}")
            query = link and re.search(r"\?.*", link[1])[0]
        return entries

    def _whole(self, repository, reference):
        """The manifest, and everything that it names, has the digest by which it is named."""
        reply = curl(self.bench, f"/v2/{repository}/manifests/{reference}")
        equal(reply.status, 200, f"{repository}:{reference}")
        equal(digest_of(reply.body), reply.headers["docker-content-digest"], "digest")
        manifest = json.loads(reply.body)
        for child in manifest.get("manifests", []):
            self._whole(repository, child["digest"])
        for blob in filter(None, [manifest.get("config"), *manifest.get("layers", [])]):
            found = curl(self.bench, f"/v2/{repository}/blobs/{blob['digest']}")
            equal(digest_of(found.body), blob["digest"], f"blob of {repository}:{reference}")
            equal(len(found.body), blob["size"], "size")
