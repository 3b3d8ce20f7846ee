"""Programs that ask at a terminal, such as for a password, and are answered here."""

import os
import pty
import re
import select
import subprocess
import time

from .checks import Failed
from .process import COMMAND_SECONDS


def converse(command, answers, env=None, cwd=None, status=0):
    """Runs a command at a terminal of its own. `answers` are pairs, in order: the regular
    expression of a prompt, and what is typed then. Returns all that was on the terminal."""
    ours, theirs = pty.openpty()
    # A session of its own, with this terminal, so that it is there that passwords are asked for.
    child = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *(str(word) for word in command)],
        cwd=cwd,
        env=env,
        stderr=theirs,
        stdin=theirs,
        stdout=theirs,
    )
    os.close(theirs)
    said, heard, waiting = "", 0, list(answers)
    deadline = time.monotonic() + COMMAND_SECONDS
    try:
        while chunk := _read(ours, deadline):
            said += chunk.replace("\r\n", "\n")
            while waiting and (prompt := re.compile(waiting[0][0]).search(said, heard)):
                heard = prompt.end()
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
        code = child.wait(max(1, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired) as late:
        child.kill()
        child.wait()
        raise Failed(f"no end after {COMMAND_SECONDS} s: {command}\n{said}") from late
    finally:
        os.close(ours)
    if waiting:
        raise Failed(f"it never asked for {waiting[0][0]!r}: {command}\n{said}")
    if code != status:
        raise Failed(f"exit status {code}, not {status}: {command}\n{said}")
    return said


def _read(terminal, deadline):
    """What comes next; nothing when the program is at its end."""
    if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        raise TimeoutError
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        # How Linux says that nobody has the terminal open any more.
        return ""
