"""Commands that end by themselves, and daemons that this program ends: by pid, never by name."""

import os
import signal
import socket
import subprocess
import sys
import time

from .checks import Failed

COMMAND_SECONDS = 180
STOP_SECONDS = 30
LOG_LINES = 30


def run(*command, **options):
    """Runs a command to its end and returns what it printed, both streams in one."""
    status, said = attempt(*command, **options)
    if status != 0:
        raise Failed(f"exit status {status}: {' '.join(map(str, command))}\n{said}")
    return said


def refused(*command, **options):
    """Runs a command that must fail, and returns what it printed."""
    status, said = attempt(*command, **options)
    if status == 0:
        raise Failed(f"it should have failed: {' '.join(map(str, command))}\n{said}")
    return said


def attempt(*command, env=None, cwd=None, seconds=COMMAND_SECONDS):
    """Runs a command to its end and returns its exit status and what it printed."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            errors="replace",
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
        )
    except FileNotFoundError as why:
        raise Failed(f"{command[0]}: {why}") from why
    except subprocess.TimeoutExpired as late:
        raise Failed(f"still running after {seconds} s: {' '.join(command)}") from late
    return done.returncode, done.stdout


def end_in_order():
    """Makes a signal to end unwind this program, so that every daemon it started is stopped."""
    for number in [signal.SIGHUP, signal.SIGTERM]:
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def free_port():
    """A loopback port that was free a moment ago; whoever takes it may lose the race for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """A process that runs until `stop`. Its output goes to a log file, whose end is shown when it
    does not come up."""

    def __init__(self, command, log, env=None, **options):
        self.command = [str(word) for word in command]
        self.log = log
        with open(log, "ab") as output:
            # Out of the terminal's reach: a Ctrl-C ends this program, which then stops the daemon
            # in order.
            self.process = subprocess.Popen(
                self.command,
                env=env,
                start_new_session=True,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                **options,
            )

    def wait_until(self, ready, seconds=60):
        """Polls `ready` until it is true. False when the daemon ended first."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            if ready():
                return True
            time.sleep(0.05)
        raise Failed(f"not ready after {seconds} s: {self.command[0]}\n{self.last_words()}")

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def last_words(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-LOG_LINES:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def clean_environment(*prefixes, **added):
    """This process's environment without variables that begin with a prefix, and with some more."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return kept | {name: str(value) for name, value in added.items()}
