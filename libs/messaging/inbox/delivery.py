"""A message as it came from the broker, read into the event a reaction asked for."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from pydantic import ValidationError

from libs.kernel.ids import time_of
from libs.messaging.envelope import Received
from libs.messaging.inbox.inbox import InboxWindow
from libs.messaging.inbox.reactions import Reaction


class Unreadable(Exception):
    """The message can never be handled as it is; the text says why, without its values."""


@dataclass(slots=True)
class Delivery:
    message: AbstractIncomingMessage
    event: Received[Any]
    payload_hash: bytes
    attempts: int = 0
    """How often its reaction has failed for its own reasons."""


class Reader:
    """Reads the messages of one queue; each body is parsed once."""

    def __init__(self, reaction: Reaction[Any], window: InboxWindow) -> None:
        self._type = reaction.event_type
        self._received: type[Received[Any]] = Received[reaction.view]  # type: ignore[name-defined]
        self._extensions = reaction.extensions
        self._window = window

    def read(self, message: AbstractIncomingMessage, now: datetime) -> Delivery:
        """Raises Unreadable: malformed, a field missing, another type or version, an id of
        another kind or outside the inbox's window.
        """
        try:
            event = self._received.model_validate_json(message.body)
            made_at = time_of(event.id)
        except ValidationError as error:
            raise Unreadable(_without_values(error)) from None
        except (ValueError, OverflowError, OSError):
            raise Unreadable("the id is not a UUID of version 7") from None
        for name in self._extensions:
            if not isinstance(event.extensions.get(name), str):
                raise Unreadable(f"{name}: missing")
        if event.type != self._type:
            raise Unreadable(f"the type is not {self._type}")
        if not self._window.holds(made_at, now):
            raise Unreadable("the id was made outside the inbox's window")
        return Delivery(message, event, hashlib.sha256(message.body).digest())


def _without_values(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        ".".join(str(part) for part in problem["loc"]) + f": {problem['type']}"
        for problem in problems[:5]
    )
