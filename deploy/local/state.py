"""What runs for this checkout, and where: `.local/state.json`.

LOCAL_FOLDER puts everything of a run elsewhere, so that a second system can run beside the first.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.installation import Installation
from deploy.local.engine import Runtime
from deploy.local.postgres import socket_folder
from deploy.passwords import Passwords

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("LOCAL_FOLDER") or ROOT / ".local").absolute()
CONTAINER_PASSWORDS = "container-secrets.json"


class NotUp(Exception):
    """The command needs a running system. `str(error)` is for the person at the terminal."""


@dataclass(frozen=True)
class State:
    """Ports on the loopback; `services` by name."""

    runtime: Runtime
    postgres: int
    rabbitmq: int
    management: int
    services: Mapping[str, int]

    def service_url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.services[name]}"

    def passwords_file(self, folder: Path = FOLDER) -> Path:
        """Private servers and containers keep their data, so their passwords, apart."""
        container = self.runtime is Runtime.CONTAINERS
        return folder / (CONTAINER_PASSWORDS if container else "secrets.json")

    def installation(self, folder: Path = FOLDER) -> Installation:
        return Installation(
            postgres=f"127.0.0.1:{self.postgres}",
            rabbitmq=f"127.0.0.1:{self.rabbitmq}",
            management=f"127.0.0.1:{self.management}",
            passwords=Passwords(self.passwords_file(folder)),
            files=folder / "files",
            services={name: self.service_url(name) for name in self.services},
            sockets=socket_folder(folder) if self.runtime is Runtime.LOCAL else None,
        )

    def save(self, folder: Path = FOLDER) -> None:
        text = json.dumps({**asdict(self), "runtime": self.runtime.value}, indent=2)
        (folder / "state.json").write_text(text + "\n")


def load_state(folder: Path = FOLDER) -> State:
    """Raises NotUp when nothing was started, or it was stopped."""
    try:
        found = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        raise NotUp("nothing is up: start it with ./taskw up") from None
    return State(**{**found, "runtime": Runtime(found["runtime"])})


def forget_state(folder: Path = FOLDER) -> None:
    (folder / "state.json").unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path = FOLDER) -> Iterator[None]:
    """One `up` or `down` at a time; raises NotUp when another is at work."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # root's Postgres runs as another user
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotUp("another up, down or clean is at work: wait for it") from None
        yield
