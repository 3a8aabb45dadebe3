"""AUTH of an installation: a start that does not mention it leaves it as it was."""

import os
from pathlib import Path

from dotenv import dotenv_values

from libs.runtime.failure import StartFailure


def asked_auth(folder: Path) -> str:
    """What the environment, or else `.env` in this folder, says; empty when nothing is said.

    Raises StartFailure for what is neither on nor off.
    """
    asked = os.environ.get("AUTH") or dotenv_values(folder / ".env").get("AUTH") or ""
    if asked not in ("on", "off", ""):
        raise StartFailure(f"AUTH is {asked!r}: it can be on or off")
    return asked


def kept_auth(file: Path, asked: str) -> str:
    """`asked`, which the file then remembers; or what it remembers, empty if that is nothing."""
    if not asked:
        return file.read_text() if file.exists() else ""
    file.write_text(asked)
    return asked
