"""Runs a script apart from the machine: with a network of its own, where every port is free, and on
a copy of the file system that is gone afterwards, so that paths and ports can be those that people
write: /etc/docker, /certs, port 5000.

There is an address beside loopback's, since docker takes all of loopback for insecure by itself.
"""

import os
import pathlib
import subprocess
import sys

from .process import run

# From a range for documentation: nobody's.
ADDRESS = "192.0.2.1"
MARK = "STANDS_APART"


def enter(**variables):
    """Starts this program anew, apart, with these variables beside its own; returns in there.
    Installs and builds belong before it: what is written apart is lost."""
    if os.environ.get(MARK):
        _own_network()
        _own_files(pathlib.Path(os.environ[MARK]))
        return
    # A mount point, left empty outside.
    folder = pathlib.Path("/run/registry-tests-apart")
    folder.mkdir(exist_ok=True)
    environment = os.environ | variables | {MARK: str(folder)}
    command = ["unshare", "--net", "--mount", "--uts", sys.executable, *sys.argv]
    os.execvpe(command[0], command, environment)


def refusal():
    """Why that cannot be done here, or nothing."""
    if os.geteuid() != 0:
        return "needs root"
    command = ["unshare", "--net", "--mount", "true"]
    try:
        tried = subprocess.run(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        return "unshare is not installed (Debian: apt-get install util-linux)"
    return tried.stderr.strip() if tried.returncode else ""


def name_host(*names):
    """Gives these names to the address."""
    with open("/etc/hosts", "a") as hosts:
        hosts.write(f"{ADDRESS} {' '.join(names)}\n")


def _own_network():
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")


def _own_files(folder):
    # Nothing in here is seen outside, and all of it goes when the last process in here does.
    run("mount", "-t", "tmpfs", "tmpfs", folder)
    upper, work, root = folder / "upper", folder / "work", folder / "root"
    for part in [upper, work, root]:
        part.mkdir()
    layers = f"lowerdir=/,upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "overlay", "-o", layers, root)
    for part in ["proc", "sys", "dev"]:
        run("mount", "--rbind", f"/{part}", root / part)
    # Sockets of the daemons outside are not to be found by name.
    run("mount", "-t", "tmpfs", "tmpfs", root / "run")
    here = os.getcwd()
    (root / "old").mkdir()
    run("pivot_root", root, root / "old")
    run("umount", "--lazy", "/old")
    os.chdir(here)
