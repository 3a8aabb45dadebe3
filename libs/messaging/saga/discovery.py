"""Finds the participants by name: the library knows no service."""

import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from libs.messaging.saga.participant import Participant


class UnknownParticipant(Exception):
    """A participant cannot be found; one line says why."""


def named_participants(names: Sequence[str], project: Path = Path("pyproject.toml")) -> list[str]:
    """`names`, or when there are none `participants` under `[tool.messaging]` of the project."""
    if names:
        return list(names)
    try:
        table = tomllib.loads(project.read_text())
        return list(table["tool"]["messaging"]["participants"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        raise UnknownParticipant(
            f"name --participants, or list them under [tool.messaging] in {project}"
        ) from None


def load(names: Sequence[str]) -> list[Participant]:
    """Each name is `module:function`; the function takes no arguments."""
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
