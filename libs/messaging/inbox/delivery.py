"""A delivery is a message from the broker, parsed into the event that its reaction reads."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import ChannelInvalidStateError
from pydantic import ValidationError

from libs.kernel.ids import time_of
from libs.messaging.envelope import Received
from libs.messaging.saga.reactions import Reaction


class Unreadable(Exception):
    """The message can never be handled as it is. The text says why, without its values."""


@dataclass(slots=True, eq=False)
class Delivery:
    message: AbstractIncomingMessage
    event: Received[Any]
    made_at: datetime
    """The event's id holds this time, by its publisher's clock."""
    payload_hash: bytes
    failed_attempts: int = 0
    """The message's reaction has failed this often for its own reasons."""
    blocked_attempts: int = 0
    """The database refused the reaction this often while it served others."""
    blocked_since: float | None = None
    """The database refused the reaction first at this time of the monotonic clock."""

    @property
    def is_gone(self) -> bool:
        return is_gone(self.message)


def is_gone(message: AbstractIncomingMessage) -> bool:
    """Return whether the channel is closed: the message then comes again on another channel."""
    try:
        return message.channel.is_closed
    except ChannelInvalidStateError:
        return True


class Reader:
    """A reader reads the messages of one queue; each body is parsed once."""

    def __init__(self, reaction: Reaction[Any]) -> None:
        self._type = reaction.event_type
        self._received: type[Received[Any]] = Received[reaction.data_model]  # type: ignore[name-defined]
        self._extensions = reaction.extensions

    def read(self, message: AbstractIncomingMessage) -> Delivery:
        """Parse a message. Raises Unreadable where it is malformed, lacks a field, or has another
        type or version, or an id of another kind.
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
        return Delivery(message, event, made_at, hashlib.sha256(message.body).digest())


def _without_values(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        (".".join(str(part) for part in problem["loc"]) or "the message") + f": {problem['type']}"
        for problem in problems[:5]
    )
