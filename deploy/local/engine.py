"""Whether servers run as containers or as private processes of this machine."""

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


def choose_runtime() -> Choice:
    """RUNTIME=local or RUNTIME=containers decides; without it, whether a Docker engine answers.

    Raises ValueError when RUNTIME is something else.
    """
    wish = os.environ.get("RUNTIME")
    if wish:
        if wish not in [runtime.value for runtime in Runtime]:
            raise ValueError(f"RUNTIME is {wish!r}: it can be local or containers")
        return Choice(Runtime(wish), f"RUNTIME={wish}")
    if shutil.which("docker") is None:
        return Choice(Runtime.LOCAL, "there is no docker command")
    if not _succeeds("docker", "info"):
        return Choice(Runtime.LOCAL, "no Docker engine answers")
    if not _succeeds("docker", "compose", "version"):
        return Choice(Runtime.LOCAL, "docker has no compose plugin")
    return Choice(Runtime.CONTAINERS, "a Docker engine answers")


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=15, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
