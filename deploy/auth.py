"""An installation has AUTH and TLS. A start that does not mention them keeps their values."""

import os
from pathlib import Path

from dotenv import dotenv_values

from libs.runtime.start_failure import StartFailure


def asked_auth(folder: Path) -> str:
    """Return the value in the environment, else in `.env` in this folder; empty if neither has one.

    Raises StartFailure for a value other than on and off.
    """
    return _asked("AUTH", ("on", "off"), folder)


def asked_tls(folder: Path) -> str:
    """Return TLS as `asked_auth` does AUTH: whether it is required on the loopback too."""
    return _asked("TLS", ("required", "remote", "off"), folder)


def _asked(name: str, choices: tuple[str, ...], folder: Path) -> str:
    asked = os.environ.get(name) or dotenv_values(folder / ".env").get(name) or ""
    if asked not in (*choices, ""):
        raise StartFailure(f"{name} is {asked!r}: it can be {' or '.join(choices)}")
    return asked


def kept(file: Path, asked: str) -> str:
    """Store `asked` in the file and return it; without it return the stored value, or ""."""
    if not asked:
        return file.read_text() if file.exists() else ""
    file.write_text(asked)
    return asked


kept_auth = kept
