"""Servers run as containers, or as private processes of this machine."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum


class Runtime(Enum):
    LOCAL = "local"
    CONTAINERS = "containers"


@dataclass(frozen=True)
class Choice:
    runtime: Runtime
    reason: str


def wished_runtime() -> Runtime | None:
    """Return the value of RUNTIME, None if unset. Raises ValueError for an unknown value."""
    wish = os.environ.get("RUNTIME")
    if not wish:
        return None
    try:
        return Runtime(wish)
    except ValueError:
        raise ValueError(f"RUNTIME is {wish!r}: it can be local or containers") from None


def choose_runtime() -> Choice:
    """Choose by RUNTIME=local or RUNTIME=containers; else by whether a Docker engine answers.

    Raises ValueError when RUNTIME is unknown, or demands containers where none can run.
    """
    wish = wished_runtime()
    if wish is Runtime.LOCAL:
        return Choice(Runtime.LOCAL, "RUNTIME=local")
    trouble = _trouble_with_the_engine()
    if trouble is None:
        return Choice(Runtime.CONTAINERS, "a Docker engine answers")
    if wish:
        raise ValueError(f"RUNTIME=containers is not possible: {trouble}")
    return Choice(Runtime.LOCAL, trouble)


def _trouble_with_the_engine() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    if not _succeeds("docker", "info"):
        return "no Docker engine answers"
    if not _succeeds("docker", "compose", "version"):
        return "docker has no compose plugin"
    return None


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=15, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
