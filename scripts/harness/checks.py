"""Counts checks, and refuses to let a skipped one pass unseen."""

import contextlib
import os
import time
import traceback

# What automake and Meson take for "skipped": nothing failed, but something did not run.
EXIT_SKIPPED = 77


class Failed(Exception):
    """A check that does not hold; its message says what was expected and what was found."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


def equal(actual, expected, what):
    if actual != expected:
        raise Failed(f"{what}: expected {expected!r}, found {actual!r}")


class Checks:
    """The checks of one script. Each runs in its own `with checks.check("…")` block; one that fails
    is reported and counted, and the next one still runs."""

    def __init__(self, title):
        self.title = title
        self.failed = []
        self.heading = ""
        self.passed = 0
        self.skipped = []

    @contextlib.contextmanager
    def check(self, name):
        started = time.monotonic()
        try:
            yield
        except Failed as why:
            self._fail(name, str(why))
        except Exception:
            self._fail(name, traceback.format_exc())
        else:
            self.passed += 1
            print(f"  ok    {name} ({time.monotonic() - started:.1f} s)", flush=True)

    @contextlib.contextmanager
    def group(self, name):
        """A heading; what goes wrong outside of any check, as in setting up, is a failure too."""
        outer, self.heading = self.heading, name
        print(f"{name}:", flush=True)
        try:
            yield
        except Failed as why:
            self._fail("around the checks", str(why))
        except Exception:
            self._fail("around the checks", traceback.format_exc())
        finally:
            self.heading = outer

    def skip(self, name, reason):
        self.skipped.append(name)
        print(f"  SKIP  {name}: {reason}", flush=True)

    def finish(self):
        """Prints the outcome and returns the exit status."""
        for name in self.skipped:
            print(f"!!! SKIPPED, not checked at all: {name}")
        for name in self.failed:
            print(f"!!! FAILED: {name}")
        print(
            f"{self.title}: {self.passed} passed, {len(self.failed)} failed, "
            f"{len(self.skipped)} skipped",
            flush=True,
        )
        if self.failed or not (self.passed or self.skipped):
            return 1
        if self.skipped:
            if os.environ.get("CI") == "true":
                print("CI=true: a skipped check is a failure")
                return 1
            return EXIT_SKIPPED
        return 0

    def _fail(self, name, why):
        self.failed.append(f"{self.heading}: {name}")
        indented = "\n".join(f"        {line}" for line in why.strip().splitlines())
        print(f"  FAIL  {name}\n{indented}", flush=True)
