"""podman, skopeo, buildah and containerd: TLS of an authority of one's own, and a password."""

import json
import pathlib

from ..certificates import Authority
from ..checks import equal, expect
from . import own_authority, passwords
from .own_authority import LIVE, UNKNOWN, certify, trusted
from .stage import REMOTE, Steps, contains

USER = ["--username", "testuser", "--password", "testpassword"]


class OtherClients(Steps):
    NEEDS = {
        "buildah": "buildah",
        "containerd": "containerd",
        "ctr": "containerd",
        "openssl": "openssl",
        "podman": "podman",
        "skopeo": "skopeo",
    }

    def walk(self):
        passwords.make_user(self.stage)
        authority = Authority(self.folder / "ca")
        certify(authority, LIVE)
        storage = self.folder / "storage"
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{storage}/root"\nrunroot = "{storage}/run"\n'
        )
        self.stage.environment["CONTAINERS_STORAGE_CONF"] = str(self.folder / "storage.conf")
        with self.stage.image(**passwords.VARIABLES, **own_authority.VARIABLES):
            self.unknown()
            with trusted(authority, REMOTE):
                self.podman()
                self.skopeo()
                self.buildah()
            self.containerd(authority)

    def unknown(self):
        for name in ["podman", "skopeo", "buildah"]:
            with self.check(f"{name} login, where the authority is not known"):
                contains(self.stage.refused(name, "login", *USER, REMOTE), UNKNOWN)

    def podman(self):
        run, image = self.stage.run, f"{REMOTE}/podman/image:1"
        archive = self.folder / "podman.tar"
        run("tar", "-C", self.stage.tree(), "-cf", archive, ".")
        with self.check("podman: refused without a login and with a wrong password"):
            run("podman", "import", "--quiet", archive, image)
            contains(self.stage.refused("podman", "push", image), "unauthorized")
            wrong = ["--username", "testuser", "--password", "wrong"]
            said = self.stage.refused("podman", "login", *wrong, REMOTE)
            contains(said, "invalid username/password")
        with self.check("podman: login, push, pull, logout"):
            contains(run("podman", "login", *USER, REMOTE), "Login Succeeded!")
            image_id = run("podman", "image", "inspect", "--format", "{{.Id}}", image)
            run("podman", "push", "--quiet", image)
            run("podman", "rmi", "--force", image)
            equal(run("podman", "pull", "--quiet", image), image_id, "image ID")
            run("podman", "logout", REMOTE)
            run("podman", "rmi", "--force", image)
            contains(self.stage.refused("podman", "pull", image), "unauthorized")

    def skopeo(self):
        run, source = self.stage.run, f"docker://{REMOTE}/podman/image:1"
        with self.check("skopeo: refused without a login"):
            contains(self.stage.refused("skopeo", "inspect", source), "unauthorized")
        with self.check("skopeo: login, inspect, copy there and back, logout"):
            contains(run("skopeo", "login", *USER, REMOTE), "Login Succeeded!")
            digest = json.loads(run("skopeo", "inspect", source))["Digest"]
            copy = f"docker://{REMOTE}/skopeo/copy:1"
            run("skopeo", "copy", "--quiet", source, copy)
            equal(json.loads(run("skopeo", "inspect", copy))["Digest"], digest, "digest")
            policy = "--insecure-policy"
            run("skopeo", policy, "copy", "--quiet", copy, f"dir:{self.folder}/copy")
            expect((self.folder / "copy" / "manifest.json").is_file(), "nothing was copied")
            run("skopeo", "logout", REMOTE)

    def buildah(self):
        run, image = self.stage.run, f"{REMOTE}/buildah/image:1"
        with self.check("buildah: login, build, push, pull, logout"):
            contains(run("buildah", "login", *USER, REMOTE), "Login Succeeded!")
            container = run("buildah", "from", "scratch").strip()
            run("buildah", "add", "--quiet", container, self.stage.tree(), "/")
            run("buildah", "commit", "--quiet", "--rm", container, image)
            run("buildah", "push", "--quiet", image)
            run("buildah", "rmi", "--force", image)
            run("buildah", "pull", "--quiet", image)
            run("buildah", "logout", REMOTE)

    def containerd(self, authority):
        socket, hosts = self.folder / "containerd.sock", pathlib.Path("/etc/containerd/certs.d")
        (hosts / REMOTE).mkdir(parents=True)
        (hosts / REMOTE / "hosts.toml").write_text(
            f'server = "https://{REMOTE}"\n[host."https://{REMOTE}"]\nca = "ca.crt"\n'
        )
        configuration = self.folder / "containerd.toml"
        configuration.write_text(
            f'version = 2\nroot = "{self.folder}/containerd"\n'
            f'state = "{self.folder}/run/containerd"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{socket}"\n[ttrpc]\naddress = "{socket}.ttrpc"\n'
        )
        ctr = ["ctr", "--address", socket]
        command = ["containerd", "--config", configuration]
        with self.stage.daemon("containerd", *command) as daemon:
            ready = daemon.wait_until(lambda: self.stage.attempt(*ctr, "version")[0] == 0)
            expect(ready, f"containerd ended\n{daemon.last_words()}")
            source, copy = f"{REMOTE}/podman/image:1", f"{REMOTE}/ctr/copy:1"
            native = ["--snapshotter", "native"]
            there = ["--hosts-dir", hosts]
            user = ["--user", "testuser:testpassword"]
            with self.check("ctr: refused where the authority is not known"):
                (hosts / REMOTE / "ca.crt").unlink(missing_ok=True)
                said = self.stage.refused(*ctr, "images", "pull", *native, *user, source)
                contains(said, UNKNOWN)
            (hosts / REMOTE / "ca.crt").write_bytes(authority.certificate.read_bytes())
            with self.check("ctr: refused without a password"):
                said = self.stage.refused(*ctr, "images", "pull", *native, *there, source)
                contains(said, "401 Unauthorized")
            with self.check("ctr: pull and push, with hosts.toml and a password"):
                self.stage.run(*ctr, "images", "pull", *native, *there, *user, source)
                self.stage.run(*ctr, "images", "tag", source, copy)
                self.stage.run(*ctr, "images", "push", *there, *user, copy)
