"""AUTH and TLS of an installation: a start that does not mention them leaves them as they were."""

import os
from pathlib import Path

from dotenv import dotenv_values

from libs.runtime.failure import StartFailure


def asked_auth(folder: Path) -> str:
    """What the environment, or else `.env` in this folder, says; empty when nothing is said.

    Raises StartFailure for what is neither on nor off.
    """
    return _asked("AUTH", ("on", "off"), folder)


def asked_tls(folder: Path) -> str:
    """As `asked_auth`, of TLS: `required` on the loopback too, or not."""
    return _asked("TLS", ("required", "remote", "off"), folder)


def _asked(name: str, choices: tuple[str, ...], folder: Path) -> str:
    asked = os.environ.get(name) or dotenv_values(folder / ".env").get(name) or ""
    if asked not in (*choices, ""):
        raise StartFailure(f"{name} is {asked!r}: it can be {' or '.join(choices)}")
    return asked


def kept(file: Path, asked: str) -> str:
    """`asked`, which the file then remembers; or what it remembers, empty if that is nothing."""
    if not asked:
        return file.read_text() if file.exists() else ""
    file.write_text(asked)
    return asked


kept_auth = kept
