"""This module finds the participants' code by name, and the document that describes them: the
library knows no service.

Only the command that writes the document loads code; everything else reads the document.
"""

import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from libs.messaging.saga.participant import Participant

PROJECT = Path("pyproject.toml")


class UnknownParticipant(Exception):
    """A participant cannot be found. One line says why."""


def named_participants(names: Sequence[str], project: Path = PROJECT) -> list[str]:
    """Return `names`; if none, `participants` under `[tool.messaging]` of the project."""
    return list(names) or list(_settings(project, "participants"))


def document_path(path: Path | None, project: Path = PROJECT) -> Path:
    """Return `path`, or `choreography` under `[tool.messaging]`, seen from the project's folder."""
    return path or project.parent / _settings(project, "choreography")


def vhost(project: Path = PROJECT) -> str:
    """Return `vhost` under `[tool.messaging]` of the project: the virtual host that documents name.
    It is the broker's default one where the project names none.
    """
    try:
        return str(_settings(project, "vhost"))
    except UnknownParticipant:
        return "/"


def _settings(project: Path, name: str) -> Any:
    try:
        return tomllib.loads(project.read_text())["tool"]["messaging"][name]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        raise UnknownParticipant(
            f"name --{name}, or write {name} under [tool.messaging] in {project}"
        ) from None


def load(names: Sequence[str]) -> list[Participant]:
    """Load the participants. Each name is `module:function`; the function takes no arguments."""
    participants = []
    for name in names:
        module, _, function = name.partition(":")
        try:
            found = getattr(import_module(module), function)()
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise UnknownParticipant(f"{name}: {error}") from None
        if not isinstance(found, Participant):
            raise UnknownParticipant(f"{name} gives no Participant")
        participants.append(found)
    return participants
