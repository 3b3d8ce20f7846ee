"""htpasswd, as it was set up by three variables; logins in every form that people typed."""

import json
import pathlib
import re

from ..certificates import Authority
from ..checks import equal, expect
from ..dialogue import converse
from . import own_authority
from .own_authority import LIVE, certify, trusted
from .stage import NO_DAEMON, REMOTE, Steps, contains, push_and_pull

USERS = pathlib.Path("/auth/htpasswd")
VARIABLES = {
    "REGISTRY_AUTH": "htpasswd",
    "REGISTRY_AUTH_HTPASSWD_REALM": "Registry Realm",
    "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
}
LOGIN = ["login", "-u", "testuser", "-p", "testpassword"]
STORED = "WARNING! Your credentials are stored unencrypted in '"


class Passwords(Steps):
    NEEDS = {"openssl": "openssl"}

    def walk(self):
        make_user(self.stage)
        self.plain()
        authority = Authority(self.folder / "ca")
        certify(authority, LIVE)
        variables = VARIABLES | own_authority.VARIABLES
        with (
            self.stage.image(**variables) as registry,
            trusted(authority, REMOTE),
            self.stage.dockerd() as docker,
        ):
            docker.import_files(self.stage.tree(), f"{REMOTE}/hello-world")
            self.asked(registry, authority)
            self.anonymous(docker)
            self.wrong(docker)
            self.forms(docker)
            self.in_and_out(docker)
            self.another_user(docker)

    def plain(self):
        with (
            self.stage.image(**VARIABLES),
            self.stage.dockerd() as docker,
            self.check("docker login http://localhost:5000, push, pull, over plain HTTP"),
        ):
            image = "localhost:5000/plain"
            docker.import_files(self.stage.tree(), image)
            contains(docker.refused("push", image), "no basic auth credentials")
            contains(docker.run(*LOGIN, "http://localhost:5000"), "Login Succeeded")
            push_and_pull(docker, image)
            docker.run("logout", "localhost:5000")

    def asked(self, registry, authority):
        with self.check("curl: 401 with the realm; the password opens; the log has neither"):
            command = ["curl", "-sS", "-i", "--cacert", authority.certificate]
            said = self.stage.run(*command, f"https://{REMOTE}/v2/")
            contains(said.lower(), " 401", 'www-authenticate: basic realm="registry realm"')
            contains(said, '"code":"UNAUTHORIZED"')
            user = ["-u", "testuser:testpassword"]
            contains(self.stage.run(*command, *user, f"https://{REMOTE}/v2/"), " 200")
            log = pathlib.Path(registry.log).read_text()
            contains(log, "authentication: htpasswd, users in /auth/htpasswd", "Registry Realm")
            expect("testpassword" not in log, "the password is in the log")

    def anonymous(self, docker):
        with self.check("docker push and pull without a login"):
            said = docker.refused("push", f"{REMOTE}/hello-world")
            expect(said.strip().endswith("no basic auth credentials"), said)
            contains(docker.refused("pull", f"{REMOTE}/hello-world"), "no basic auth credentials")

    def wrong(self, docker):
        said = f"login attempt to https://{REMOTE}/v2/ failed with status: 401 Unauthorized"
        for user in ["testuser", "nobody"]:
            with self.check(f"docker login as {user} with a wrong password"):
                login = ["login", "-u", user, "-p", "wrong", REMOTE]
                contains(docker.refused(*login), f"Error response from daemon: {said}")
                contains(self.stage.refused("docker", *login, **NO_DAEMON), said)

    def forms(self, docker):
        for where in [REMOTE, f"{REMOTE}/hello-world", f"https://{REMOTE}", f"http://{REMOTE}"]:
            with self.check(f"docker login {where}: asks, and is remembered by the host"):
                answers = [("Username.*: ", "testuser"), ("Password: ", "testpassword")]
                command = ["docker", "login", where]
                said = converse(command, answers, env=docker.environment)
                contains(said, "Login Succeeded", STORED)
                expect("testpassword" not in said, "the password is shown")
                equal(self.remembered(), [REMOTE], "logins")
                docker.run("logout", REMOTE)
                equal(self.remembered(), [], "logins after the logout")

    def in_and_out(self, docker):
        image = f"{REMOTE}/hello-world"
        with self.check("docker login, push, pull"):
            contains(docker.run(*LOGIN, REMOTE), "Login Succeeded")
            push_and_pull(docker, image)
        with self.check('docker push again: "Layer already exists"'):
            _, layers = docker.push(image)
            equal(set(layers), {"Layer already exists"}, "layers")
        with self.check("docker logout: the next push is refused"):
            docker.run("logout", REMOTE)
            contains(docker.refused("push", image), "no basic auth credentials")

    def another_user(self, docker):
        with self.check("a user that is added while it runs logs in; one that is removed does not"):
            htpasswd = [self.stage.binary, "htpasswd"]
            self.stage.run(*htpasswd, "-Bb", USERS, "second", "other")
            contains(docker.run("login", "-u", "second", "-p", "other", REMOTE), "Login Succeeded")
            self.stage.run(*htpasswd, "-D", USERS, "testuser")
            contains(docker.refused(*LOGIN, REMOTE), "failed with status: 401 Unauthorized")

    def remembered(self):
        stored = json.loads((self.folder / "docker" / "config.json").read_text())
        return list(stored.get("auths", {}))


def make_user(stage):
    """The file with testuser in it, by the command that people know."""
    with stage.check("registry htpasswd -Bbn testuser testpassword > auth/htpasswd"):
        line = stage.run(stage.binary, "htpasswd", "-Bbn", "testuser", "testpassword")
        expect(re.fullmatch(r"testuser:\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}\n\n?", line), repr(line))
        USERS.parent.mkdir(exist_ok=True)
        USERS.write_text(line)
