"""Runs the command lines of a page, in order, and compares what they print with what is shown.

A block is fenced as `console`; lines that begin with `$ ` are typed, the others are what is
printed, where `…` stands for anything: alone on a line for any lines. Nothing shown, nothing
compared. What no reader sees says how, in HTML comments right before a block:

    not run: REASON           it needs what is not here
    in the checkout           it is run there; everything else in a folder that is empty at first
    typed: ONE, OTHER         what is typed where a program asks
    fails                     its last command must fail
    file: PATH                no command: the block, of any language, is written to this file
    again with OTHER for ONE  anywhere on the page: it is run twice

`registry serve` goes on as in another terminal, until the page ends or serves again.
"""

import contextlib
import os
import pathlib
import re
import shlex
import signal

from . import dockerd
from .checks import Failed, expect
from .pages import blocks
from .process import COMMAND_SECONDS, STOP_SECONDS, Daemon, run
from .server import TOP
from .terminal import Terminal

SERVES = re.compile(r"(^|\s)(registry|cargo run .*--bin registry --) serve\b")
# Where nothing was built before.
BUILD_SECONDS = 3600
AGAIN = re.compile(r"<!-- again with (\w+) for (\w+) -->")


class Page:
    """A page, and how many of its commands were run, and not run for which reason."""

    def __init__(self, path, replace=None):
        self.path = path
        self.replace = replace
        self.blocks = blocks(path)
        self.ran = 0
        self.left = []

    def __str__(self):
        name = str(self.path.relative_to(TOP))
        return f"{name}, with {self.replace[1]} for {self.replace[0]}" if self.replace else name

    def commands(self):
        """How many there are."""
        consoles = [block for block in self.blocks if block.language == "console"]
        return sum(len(commands(block.text)) for block in consoles)

    def run(self, check, folder, environment):
        """Runs all of it; each command is a check."""
        environment = dict(environment)
        home = pathlib.Path(environment["HOME"])
        text = self._replaced(self.path.read_text())
        # Whatever ends badly, the rest is ended all the same.
        with contextlib.ExitStack() as running:
            if re.search(r"^ *\$ (.*\| )?(sudo )?docker ", text, re.MULTILINE):
                daemon = running.enter_context(dockerd.Dockerd(folder / "dockerd", environment))
                environment["DOCKER_HOST"] = daemon.socket
                tree = folder / "hello"
                tree.mkdir()
                (tree / "hello").write_text("hello\n")
                daemon.import_files(tree, "hello-world")
            terminal = Terminal(home, environment)
            running.callback(terminal.close)
            servers = Servers(home, environment, terminal)
            running.callback(servers.stop)
            for block in self.blocks:
                self._run_block(block, check, terminal, servers)

    def _run_block(self, block, check, terminal, servers):
        remarks = dict(remark.partition(": ")[::2] for remark in block.remarks)
        if "file" in remarks:
            run("mkdir", "-p", pathlib.Path(terminal.folder, remarks["file"]).parent)
            pathlib.Path(terminal.folder, remarks["file"]).write_text(block.text)
        if block.language != "console":
            return
        found = commands(block.text)
        if "not run" in remarks:
            self.left += [(str(block), command, remarks["not run"]) for command, _ in found]
            return
        expect(found, f"{block}: a console without a command line")
        typed = remarks["typed"].split(", ") if "typed" in remarks else []
        if "in the checkout" in remarks:
            terminal.enter(f"cd {shlex.quote(str(TOP))}")
        for number, (command, shown) in enumerate(found):
            command, shown = self._replaced(command), self._replaced(shown)
            fails = "fails" in remarks and number == len(found) - 1
            asks = number == len(found) - 1
            with check(f"{block}: {command.splitlines()[0]}"):
                self.ran += 1
                if SERVES.search(command) and not fails:
                    servers.start(command, shown)
                    continue
                seconds = BUILD_SECONDS if command.startswith("cargo ") else COMMAND_SECONDS
                status, said = terminal.enter(command, typed if asks else (), seconds)
                expect((status != 0) == fails, f"exit status {status}\n{said}")
                compare(said, shown)
        if "in the checkout" in remarks:
            terminal.enter("cd")

    def _replaced(self, text):
        built = os.environ.get("CARGO_TARGET_DIR")
        if built:
            # Whoever builds elsewhere finds it there.
            text = text.replace(" target/release/", f" {built}/release/")
        if not self.replace:
            return text
        old, new = self.replace
        return re.sub(rf"(?<![\w/]){old}(?![\w/])", new, text)


def pages(path):
    """A page as it is, and as it asks to be read as well."""
    again = AGAIN.findall(path.read_text())
    return [Page(path), *(Page(path, (old, new)) for new, old in again)]


def commands(text):
    """The commands of a console, each with what is shown below it."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif found:
            found[-1][1].append(line)
        else:
            raise Failed(f"a console that begins with what is printed: {line}")
    return [(command, "\n".join(lines)) for command, lines in found]


def compare(said, shown, prefix=False):
    """What was printed is what is shown."""
    if not shown:
        return
    wanted = "".join(
        r"(?:.*\n)*?" if line == "…" else r".*?".join(map(re.escape, line.split("…"))) + r"\n"
        for line in map(str.rstrip, shown.rstrip().splitlines())
    )
    said = "\n".join(line.rstrip() for line in said.strip().splitlines()) + "\n"
    pattern = rf"\n*{wanted}" + ("" if prefix else r"\n*\Z")
    expect(re.match(pattern, said), f"shown:\n{shown}\nprinted:\n{said}")


class Servers:
    """The registry of a page, in another terminal."""

    def __init__(self, folder, environment, terminal):
        self.environment = environment
        self.folder = folder
        self.running = None
        self.terminal = terminal

    def start(self, command, shown):
        self.stop()
        log = self.folder.parent / "server.log"
        log.write_text("")
        _, place = self.terminal.enter("pwd")
        _, mask = self.terminal.enter("umask")
        script = f"umask {mask.strip()}; cd {shlex.quote(place.strip())}; exec {command}"
        # `exec` takes no variables in front.
        script = re.sub(r"exec ((\w+=\S* )+)", r"exec env \1", script)
        self.running = Daemon(["bash", "-c", script], log, self.environment)
        seconds = BUILD_SECONDS if "cargo " in command else COMMAND_SECONDS
        ready = self.running.wait_until(lambda: "listening on" in log.read_text(), seconds)
        expect(ready, f"it ended\n{log.read_text()}")
        lines = [
            re.search(r'msg="((?:[^"\\]|\\.)*)"', line) for line in log.read_text().splitlines()
        ]
        said = "\n".join(line[1].replace('\\"', '"') if line else "" for line in lines)
        compare(said if "msg=" not in shown else log.read_text(), shown, prefix=True)

    def stop(self):
        """As Ctrl-C does."""
        if not self.running:
            return
        running, self.running = self.running, None
        with running:
            running.process.send_signal(signal.SIGINT)
            status = running.process.wait(STOP_SECONDS)
        expect(status == 0, f"the registry ended with exit status {status} after Ctrl-C")
