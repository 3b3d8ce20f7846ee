"""A shell at a terminal, into which the command lines of a page are typed."""

import os
import pty
import re
import select
import subprocess
import time

from .checks import Failed
from .process import COMMAND_SECONDS

# What a program ends with when it waits for somebody to type.
ASKS = re.compile(r"(password|username|passphrase|pass phrase)[^\n]*: ?$", re.IGNORECASE)
# Colours and movements of the cursor.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
# Ctrl-C.
INTERRUPT = b"\x03"
END = "end-of-the-command"


class Terminal:
    """One bash, so that `cd` and `export` last."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.command = folder.parent / f"{folder.name}-command"
        self.ours, theirs = pty.openpty()
        self.shell = subprocess.Popen(
            ["setsid", "--ctty", "--wait", "bash", "--norc", "--noprofile", "+m"],
            cwd=folder,
            env=environment | {"PS1": "", "PS2": ""},
            stderr=theirs,
            stdin=theirs,
            stdout=theirs,
        )
        os.close(theirs)
        self.enter("stty -echo; bind 'set enable-bracketed-paste off'")

    def enter(self, command, typed=(), seconds=COMMAND_SECONDS):
        """Runs a command; answers with its exit status and what was on the terminal."""
        # From a file: what is typed ahead would be read by whoever asks first.
        self.command.write_text(command + "\n")
        line = f"source '{self.command}'; printf '\\n%s:%s\\n' {END} $?\n"
        os.write(self.ours, line.encode())
        said, answered, waiting = "", 0, list(typed)
        deadline = time.monotonic() + seconds
        while True:
            if not select.select([self.ours], [], [], max(0, deadline - time.monotonic()))[0]:
                os.write(self.ours, INTERRUPT)
                raise Failed(f"still running after {seconds} s: {command}\n{said}")
            said += os.read(self.ours, 65536).decode(errors="replace").replace("\r", "")
            plain = ESCAPES.sub("", said)
            if end := re.search(rf"^{END}:(\d+)\n", plain, re.MULTILINE):
                break
            if ASKS.search(plain[answered:]):
                if not waiting:
                    os.write(self.ours, INTERRUPT)
                    raise Failed(f"it asks, and nothing is there to type: {command}\n{plain}")
                answered = len(plain)
                os.write(self.ours, f"{waiting.pop(0)}\n".encode())
        plain = plain[: end.start()]
        if waiting:
            raise Failed(f"it did not ask for everything: {command}\n{plain}")
        return int(end[1]), plain

    def close(self):
        os.close(self.ours)
        self.shell.kill()
        self.shell.wait()
