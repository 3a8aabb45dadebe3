"""What may be done with the messages a service gave up: look, send again, throw away."""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, DeliveryMode
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from libs.messaging.dead_letters.replay import connected, send_to_queue
from libs.messaging.inbox.dead_letter_publisher import (
    HEADER_ATTEMPTS,
    HEADER_ERROR,
    HEADER_QUEUE,
    HEADER_REFUSED_AT,
    HEADER_USER,
)
from libs.messaging.inbox.reactions import Step
from libs.messaging.saga.choreography import AnyParticipant
from libs.messaging.topology import dead_queue

_BROKERS_OWN = ("x-death", "x-first-", "x-last-", "x-delivery-count")

MOST = 10_000
"""The most messages looked at in one go."""


class DeadLetterError(Exception):
    """It cannot be done; one line says why."""


class WouldStrand(DeadLetterError):
    """Discarding it would leave a purchase waiting for ever; the caller has to insist."""


@dataclass(frozen=True)
class DeadLetter:
    """One message given up, however many copies of it there are.

    `strands`: its reaction is a step of the purchase, not only a view.
    """

    id: str
    queue: str
    type: str
    subject: str
    error: str
    attempts: int
    refused_at: str
    copies: int
    strands: bool
    body: str


@dataclass(frozen=True)
class _Held:
    letter: DeadLetter
    messages: list[AbstractIncomingMessage]


class DeadLetters:
    """The dead letters of each of these services. Needs a user who may read and write there."""

    def __init__(self, participants: Sequence[AnyParticipant], rabbitmq_url: str) -> None:
        self._services = [participant.name for participant in participants]
        self._views = {
            reaction.queue
            for participant in participants
            for reaction in participant.reacts_to
            if reaction.step is Step.VIEW
        }
        self._url = rabbitmq_url

    async def listed(self, service: str | None = None) -> list[DeadLetter]:
        """Copies of one message are one entry; the oldest first."""
        letters = []
        for name in self._services if service is None else [service]:
            async with self._opened(name) as (_, held):
                letters += [each.letter for each in held]
        return letters

    async def redrive(self, service: str, ids: Collection[str] | None = None) -> list[DeadLetter]:
        """Send these (all if None) to the one queue each came from. A dead letter goes away only
        when the broker has confirmed that it is back in its queue.
        """
        async with self._opened(service) as (channel, held):
            chosen = _chosen(held, ids)
            for each in chosen:
                message = each.messages[0]
                await send_to_queue(channel, _again(message), each.letter.queue)
                for copy in each.messages:
                    await copy.ack()
        return [each.letter for each in chosen]

    async def discard(
        self, service: str, ids: Collection[str], *, stranding: bool = False
    ) -> list[DeadLetter]:
        """Throw these away for good. Raises WouldStrand, with nothing thrown away, when one of
        them is a step of a purchase and `stranding` does not say that this is meant.
        """
        async with self._opened(service) as (_, held):
            chosen = _chosen(held, ids)
            if not stranding:
                _refuse_to_strand([each.letter for each in chosen])
            for each in chosen:
                for copy in each.messages:
                    await copy.ack()
        return [each.letter for each in chosen]

    @asynccontextmanager
    async def _opened(self, service: str) -> AsyncIterator[tuple[AbstractChannel, list[_Held]]]:
        """All dead letters of a service in hand. What is not acknowledged goes back."""
        if service not in self._services:
            raise DeadLetterError(f"no service {service}; there are {', '.join(self._services)}")
        try:
            async with connected(self._url, "dead letters") as connection:
                channel = await connection.channel(on_return_raises=True)
                queue = await channel.get_queue(dead_queue(service))
                messages: list[AbstractIncomingMessage] = []
                while len(messages) < MOST and (message := await queue.get(fail=False)):
                    messages.append(message)
                yield channel, self._folded(messages)
        except ChannelNotFoundEntity:
            raise DeadLetterError(
                f"queue {dead_queue(service)} is missing; run topology apply"
            ) from None
        except (AMQPError, OSError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DeadLetterError(f"RabbitMQ: {reason}") from None

    def _folded(self, messages: Sequence[AbstractIncomingMessage]) -> list[_Held]:
        copies: dict[tuple[str, bytes], list[AbstractIncomingMessage]] = {}
        for message in messages:
            copies.setdefault((message.routing_key or "", message.body), []).append(message)
        return [_Held(self._letter(same), same) for same in copies.values()]

    def _letter(self, copies: Sequence[AbstractIncomingMessage]) -> DeadLetter:
        last = copies[-1]
        queue = last.routing_key or ""  # dead letters are routed by the queue they come from
        envelope = _envelope(last.body)
        headers = last.headers
        return DeadLetter(
            id=str(envelope.get("id") or last.message_id or ""),
            queue=queue,
            type=str(envelope.get("type") or ""),
            subject=str(envelope.get("subject") or ""),
            error=str(headers.get(HEADER_ERROR) or headers.get("x-first-death-reason") or ""),
            attempts=_whole(headers.get(HEADER_ATTEMPTS)),
            refused_at=str(headers.get(HEADER_REFUSED_AT) or ""),
            copies=len(copies),
            strands=queue not in self._views,
            body=last.body.decode(errors="replace"),
        )


def _envelope(body: bytes) -> dict[str, Any]:
    try:
        envelope = json.loads(body)
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _chosen(held: Sequence[_Held], ids: Collection[str] | None) -> list[_Held]:
    if ids is None:
        return list(held)
    missing = set(ids) - {each.letter.id for each in held}
    if missing:
        raise DeadLetterError(f"no dead letter with id {', '.join(sorted(missing))}")
    return [each for each in held if each.letter.id in ids]


def _refuse_to_strand(letters: Sequence[DeadLetter]) -> None:
    stranded = sorted({letter.subject for letter in letters if letter.strands})
    if stranded:
        raise WouldStrand(f"would leave these unfinished for ever: {', '.join(stranded)}")


def _again(message: AbstractIncomingMessage) -> aio_pika.Message:
    ours = {HEADER_QUEUE, HEADER_ERROR, HEADER_ATTEMPTS, HEADER_REFUSED_AT}
    headers = {
        name: value
        for name, value in message.headers.items()
        if name not in ours and not name.startswith(_BROKERS_OWN)
    }
    if message.user_id is not None:  # the broker lets nobody publish in another's name
        headers.setdefault(HEADER_USER, message.user_id)
    return aio_pika.Message(
        message.body,
        headers=headers,
        content_type=message.content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        timestamp=message.timestamp,
        type=message.type,
        app_id=message.app_id,
    )
