"""Installs the programs that the checks drive, where that is possible."""

import os
import pathlib
import shutil
import subprocess

POLICY = pathlib.Path("/usr/sbin/policy-rc.d")


def missing(programs):
    """Installs what is missing of {command: Debian package}, as root on Debian. Returns what is
    still missing, as {command: remedy}."""
    wanted = absent(programs)
    if wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        install(sorted(set(wanted.values())))
        wanted = absent(programs)
    return {
        command: f"{command} is not installed (Debian: apt-get install {package})"
        for command, package in wanted.items()
    }


def absent(programs):
    return {name: package for name, package in programs.items() if not shutil.which(name)}


def install(packages):
    print(f"installing {' '.join(packages)}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    quiet = {"env": environment, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    # Debian starts the services that it installs, and these checks start their own: a policy for
    # the time of the installation keeps the machine's ports and daemons as they were.
    own_policy = not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        lock = ["-o", "DPkg::Lock::Timeout=300"]
        subprocess.run(["apt-get", "-q", "update", *lock], **quiet)
        subprocess.run(
            ["apt-get", "-qy", "install", "--no-install-recommends", *lock, *packages], **quiet
        )
    finally:
        if own_policy:
            POLICY.unlink()
