"""containerd, by its own `ctr`."""

from ..checks import equal, expect
from ..images import digest_of
from .bench import Client, curl

# What the images are called before they are tagged for the registry.
BASE = "example.invalid/made"


class Containerd(Client):
    NEEDS = {"containerd": "containerd", "ctr": "containerd", "umoci": "umoci"}
    ROOT = True

    def __enter__(self):
        self.socket = self.folder / "sock"
        configuration = self.folder / "config.toml"
        configuration.write_text(
            "version = 2\n"
            f'root = "{self.folder}/root"\n'
            f'state = "{self.folder}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            "[grpc]\n"
            f'address = "{self.socket}"\n'
            "[ttrpc]\n"
            f'address = "{self.socket}.ttrpc"\n'
        )
        command = ["containerd", "--config", configuration]
        self.start(*command, probe=["ctr", "--address", self.socket, "version"])
        return self

    def check(self):
        check, layout = self.bench.check, self.bench.layout
        archive = self.folder / "layout.tar"
        self.bench.run("tar", "-C", layout.folder, "-cf", archive, ".")
        whole = ["--all-platforms", "--no-unpack"]
        self._ctr("images", "import", *whole, "--base-name", BASE, archive)
        platforms = {"here": [], "both": ["--all-platforms"]}

        for tag in platforms:
            with check(f"push {tag}"):
                image = f"{self.bench.address}/ctr/{tag}:1"
                self._ctr("images", "tag", f"{BASE}:{tag}", image)
                self._ctr("images", "push", "--plain-http", image)
                reply = curl(self.bench, f"/v2/ctr/{tag}/manifests/1")
                equal(digest_of(reply.body), layout.digest(tag), "digest")

        with check("push again"):
            self._ctr("images", "push", "--plain-http", f"{self.bench.address}/ctr/here:1")

        for tag, options in platforms.items():
            for how, reference in [("tag", ":1"), ("digest", f"@{layout.digest(tag)}")]:
                with check(f"pull {tag} by {how}, after everything was removed here"):
                    self._remove_all()
                    image = f"{self.bench.address}/ctr/{tag}{reference}"
                    native = ["--snapshotter", "native"]
                    self._ctr("images", "pull", "--plain-http", *native, *options, image)
                    self._complete(image, layout.digest(tag))

        with check("push to another repository what was pulled"):
            image = f"{self.bench.address}/ctr/both@{layout.digest('both')}"
            other = f"{self.bench.address}/ctr/other/both:1"
            self._ctr("images", "tag", image, other)
            self._ctr("images", "push", "--plain-http", other)
            reply = curl(self.bench, "/v2/ctr/other/both/manifests/1")
            equal(digest_of(reply.body), layout.digest("both"), "digest")

    def _complete(self, image, digest):
        """All content is here, with the digest that it should have, and is unpacked."""
        rows = self._ctr("images", "check", "--snapshotter", "native").splitlines()
        row = next((row for row in rows if row.startswith(f"{image} ")), None)
        expect(row, f"{image} is not among\n{rows}")
        expect(f" {digest} " in row and " complete " in row and row.endswith("true"), row)

    def _remove_all(self):
        images = self._ctr("images", "list", "--quiet").split()
        if images:
            # Waits until what nothing refers to any more is gone as well.
            self._ctr("images", "remove", "--sync", *images)
        equal(self._ctr("content", "list", "--quiet"), "", "content left")

    def _ctr(self, *words):
        return self.bench.run("ctr", "--address", self.socket, "--namespace", "check", *words)
