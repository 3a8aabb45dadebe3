"""A fresh machine lacks some Debian packages: this module installs them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.servers.held_names import holding
from deploy.servers.processes import StartFailed

POLICY = Path("/usr/sbin/policy-rc.d")
SYSTEMD = Path("/run/systemd/system")


def install_without_starting(package: str, *, unit: str | None = None) -> None:
    """Install a server's package and keep the system's own instance of it off. `unit` is its
    systemd unit where that is not named like the package.

    Raises StartFailed, in one line, where that cannot be done.
    """
    if shutil.which("apt-get") is None:
        raise StartFailed(f"{package} is missing: install it with this machine's package manager")
    if os.geteuid() != 0:
        raise StartFailed(f"{package} is missing: run `sudo apt-get install {package}` once")
    print(f"installing {package} (about a minute)", flush=True)
    # apt-get waits for another installation, but not for another update.
    with holding("apt-get"), _services_stay_off():
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", package)
    if SYSTEMD.exists():  # otherwise it would start with the next boot
        subprocess.run(["systemctl", "disable", "--quiet", unit or package], check=False)


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """Write a file that says no (101): else Debian starts a server when it installs it."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _apt_get(*arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise StartFailed(f"apt-get {arguments[0]} did not work:\n{last}")
