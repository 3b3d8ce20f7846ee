"""The first steps: no configuration at all, then another machine, which insists on TLS."""

import http.client

from ..checks import equal, expect
from .stage import HOST, NO_DAEMON, REMOTE, Steps, contains, push_and_pull

PLAIN = f'Get "https://{REMOTE}/v2/": http: server gave HTTP response to HTTPS client'


class FirstSteps(Steps):
    def walk(self):
        with self.stage.dockerd() as docker:
            docker.import_files(self.stage.tree(), "hello-world")
            with self.stage.serve() as registry:
                self.on_this_machine(docker, registry)
            with self.stage.image() as registry:
                self.from_another(docker, registry)
        with (
            self.stage.image(),
            self.stage.dockerd(**{"insecure-registries": [REMOTE]}) as docker,
            self.check("insecure-registries: push and pull over plain HTTP"),
        ):
            docker.import_files(self.stage.tree(), f"{REMOTE}/hello-world")
            push_and_pull(docker, f"{REMOTE}/hello-world")

    def on_this_machine(self, docker, registry):
        with self.check("it starts without configuration, and says where things are"):
            contains(
                registry.last_words(),
                "configuration: no file",
                f"storage: filesystem, in {self.folder}/.local/share/registry",
                "listening on http://127.0.0.1:5000",
            )
        with self.check("docker tag, docker push to localhost:5000"):
            docker.run("tag", "hello-world", "localhost:5000/hello-world")
            docker.push("localhost:5000/hello-world")
        with self.check("curl -X GET: catalog and tags, to the byte"):
            for path, body in [
                ("_catalog", '{"repositories":["hello-world"]}'),
                ("hello-world/tags/list", '{"name":"hello-world","tags":["latest"]}'),
            ]:
                url = f"http://localhost:5000/v2/{path}"
                equal(self.stage.run("curl", "-sS", "-X", "GET", url).strip(), body, path)

    def from_another(self, docker, registry):
        with self.check("docker push by the host's name: docker wants HTTPS, and says so"):
            docker.run("tag", "hello-world", f"{REMOTE}/hello-world")
            contains(docker.refused("push", f"{REMOTE}/hello-world"), PLAIN)
        with self.check("docker login by the host's name: the same, with a daemon and without"):
            login = ["login", "-u", "testuser", "-p", "testpassword", REMOTE]
            contains(docker.refused(*login), f"Error response from daemon: {PLAIN}")
            contains(self.stage.refused("docker", *login, **NO_DAEMON), PLAIN)
        with self.check("a client that speaks TLS gets an answer, and does not hang"):
            options = ["--silent", "--show-error", "--max-time", "5"]
            status, said = self.stage.attempt("curl", *options, f"https://{REMOTE}/v2/")
            equal(status, 35, f"curl's exit status (28 is a timeout)\n{said}")
            connection = http.client.HTTPConnection(HOST, 5000, timeout=5)
            connection.request("GET", "/v2/")
            equal(connection.getresponse().status, 200, "plain HTTP meanwhile")
            expect(registry.process.poll() is None, "the registry ended")
