"""The state says what was started for this checkout, and where: `.local/state.json` names private
processes, `.local/containers.json` containers.

LOCAL_FOLDER puts everything of a system into another folder, so that a second system can run beside
the first.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from deploy.certificates import Authority
from deploy.installation import ROOT, Installation
from deploy.local.engine import Runtime
from deploy.passwords import Passwords
from deploy.servers.postgres import socket_folder

FOLDER = Path(os.environ.get("LOCAL_FOLDER") or ROOT / ".local").absolute()
DEMO = FOLDER / "demo"
"""The demo's system has this folder, inside that of `up`."""
CONTAINER_PASSWORDS = "container-secrets.json"


class NotUp(Exception):
    """The command needs a running system. `str(error)` is for the person at the terminal."""


@dataclass(frozen=True)
class State:
    """A state has the ports on the loopback; those of `services` are by name."""

    runtime: Runtime
    postgres: int
    rabbitmq: int
    management: int
    services: Mapping[str, int]
    tls: bool = False
    """Both servers speak TLS, with certificates of the folder's own authority."""

    def service_url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.services[name]}"

    def passwords_file(self, folder: Path = FOLDER) -> Path:
        """Private servers and containers keep separate data, so they have separate passwords."""
        container = self.runtime is Runtime.CONTAINERS
        return folder / (CONTAINER_PASSWORDS if container else "secrets.json")

    def authority(self, folder: Path = FOLDER) -> Authority:
        """Return the authority of the folder; for containers it only has the certificate."""
        container = self.runtime is Runtime.CONTAINERS
        return Authority(folder / ("container-authority" if container else "authority"))

    @property
    def management_scheme(self) -> Literal["http", "https"]:
        """Return the scheme of the broker's pages and API on this machine's loopback."""
        return "https" if self.tls and self.runtime is Runtime.LOCAL else "http"

    def installation(self, folder: Path = FOLDER) -> Installation:
        return Installation(
            postgres=f"127.0.0.1:{self.postgres}",
            rabbitmq=f"127.0.0.1:{self.rabbitmq}",
            management=f"127.0.0.1:{self.management}",
            passwords=Passwords(self.passwords_file(folder)),
            files=folder / "files",
            services={name: self.service_url(name) for name in self.services},
            sockets=socket_folder(folder)
            if self.runtime is Runtime.LOCAL and not self.tls
            else None,
            authority=self.authority(folder) if self.tls else None,
            management_scheme=self.management_scheme,
        )

    def save(self, folder: Path = FOLDER) -> None:
        text = json.dumps({**asdict(self), "runtime": self.runtime.value}, indent=2)
        place = _place(folder, self.runtime)
        draft = place.with_suffix(".draft")
        draft.write_text(text + "\n")
        draft.replace(place)


def load_state(folder: Path = FOLDER, runtime: Runtime = Runtime.LOCAL) -> State:
    """Return the state, or raise NotUp when nothing runs in this runtime."""
    place = _place(folder, runtime)
    try:
        found = json.loads(place.read_text())
        state = State(**{**found, "runtime": Runtime(found["runtime"])})
    except FileNotFoundError:
        raise NotUp(f"{place} is not there") from None
    except (ValueError, TypeError, KeyError):
        raise NotUp(f"{place} cannot be read") from None
    if state.runtime is not runtime:  # an earlier release kept both in one file
        raise NotUp(f"{place} is of an earlier release")
    return state


def forget_state(folder: Path = FOLDER, runtime: Runtime = Runtime.LOCAL) -> None:
    _place(folder, runtime).unlink(missing_ok=True)


def _place(folder: Path, runtime: Runtime) -> Path:
    return folder / ("state.json" if runtime is Runtime.LOCAL else "containers.json")


@contextmanager
def exclusive(folder: Path = FOLDER) -> Iterator[None]:
    """Let one command at a time use a folder, which is FOLDER or inside it; raise NotUp while
    another command runs. The lock is outside of a folder that its command deletes.
    """
    make(FOLDER)
    place = folder / "lock" if folder == FOLDER else folder.with_suffix(".lock")
    with place.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = "up, down or clean" if folder == FOLDER else folder.name
            raise NotUp(f"another {what} is at work: wait for it") from None
        yield


def make(folder: Path) -> None:
    """Make the folder so that root's Postgres, which runs as another user, can enter it."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in {folder, FOLDER} if folder.parent == FOLDER else {folder}:
        each.chmod(0o711)
