"""This module lists, redrives, reissues and discards the dead letters of services.

Each action reads all dead letters once (see `look`) and acts on those it finds.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from libs.kernel.clock import Clock, utc_now
from libs.messaging.dead_letters.copies import (
    HEADER_ATTEMPTS,
    HEADER_ERROR,
    HEADER_QUEUE,
    HEADER_REFUSED_AT,
    copy_of,
    origin_of,
)
from libs.messaging.dead_letters.look import DeadLetterError, look
from libs.messaging.dead_letters.reissue import envelope_of, forgotten, reissued
from libs.messaging.dead_letters.replay import send_to_queue
from libs.messaging.saga.choreography import AnyParticipant
from libs.messaging.saga.reactions import Step
from libs.messaging.schema.inbox_window import INBOX_WINDOW, InboxWindow

_BROKERS_OWN = ("x-death", "x-first-", "x-last-", "x-delivery-count", "x-acquired-count")


class NoDeadLetter(DeadLetterError):
    """There is no dead letter with this id, or it is already gone."""


class WouldStrand(DeadLetterError):
    """To discard the letter would leave its saga waiting for ever; the caller has to insist."""


class WouldComeBack(DeadLetterError):
    """The letter's service would refuse it again at once; nothing was sent."""


class MayBeHandled(DeadLetterError):
    """A copy may have had its effect, and a new id would repeat the effect; nothing was sent."""


@dataclass(frozen=True)
class DeadLetter:
    """A `DeadLetter` is one message given up, however many copies of it there are.

    `id` is the event's; a message without one is named by the hash of its body. `strands` says that
    its reaction is a step of a saga, not only a view. `refused_again` says why its service would
    refuse it again at once; None where it may handle it. `reissuable` says that under a new id it
    would be accepted.
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
    refused_again: str | None
    reissuable: bool
    body: str

    @property
    def service(self) -> str:
        return self.queue.partition(".")[0]


@dataclass(frozen=True)
class Redriven:
    """`kept` are still dead letters: their service would have refused them again."""

    sent: list[DeadLetter]
    kept: list[DeadLetter]


@dataclass(frozen=True)
class _Found:
    """This is a dead letter with its copies, the oldest first. The look has taken them and not
    acknowledged them.
    """

    letter: DeadLetter
    copies: list[AbstractIncomingMessage]

    async def acknowledge(self) -> None:
        for copy in self.copies:
            await copy.ack()


Choice = Callable[[DeadLetter], bool]


def _every(_: DeadLetter) -> bool:
    return True


class DeadLetters:
    """These are the dead letters of these services. The URL's user may read and write there.

    `only` narrows an action to what its caller may see: the rest does not exist for it.
    """

    def __init__(
        self,
        participants: Sequence[AnyParticipant],
        rabbitmq_url: str,
        *,
        window: InboxWindow = INBOX_WINDOW,
        clock: Clock = utc_now,
    ) -> None:
        self._services = [participant.name for participant in participants]
        self._views = {
            reaction.queue
            for participant in participants
            for reaction in participant.reacts_to
            if reaction.step is Step.VIEW
        }
        self._url = rabbitmq_url
        self._window = window
        self._clock = clock

    async def listed(self, service: str | None = None) -> list[DeadLetter]:
        """Return the letters, the oldest first. Copies of one message are one entry."""
        letters = []
        for name in self._services if service is None else [service]:
            async with self._opened(name) as (_, found):
                letters += [each.letter for each in found]
        return letters

    async def redrive(
        self, service: str, ids: Collection[str] | None = None, *, only: Choice = _every
    ) -> Redriven:
        """Send these to the one queue each came from. A dead letter goes away only when the broker
        has confirmed that it is back in its queue.

        Raises WouldComeBack, with nothing sent, when one of `ids` would be refused again at once.
        Without `ids` all others are sent.
        """
        async with self._opened(service) as (channel, found):
            chosen = _chosen(found, ids, only)
            kept = [each.letter for each in chosen if each.letter.refused_again is not None]
            if kept and ids is not None:
                raise WouldComeBack("; ".join(map(how_to_go_on, kept)))
            sent = [each for each in chosen if each.letter.refused_again is None]
            for each in sent:
                await send_to_queue(channel, _again(each.copies[0]), each.letter.queue)
                await each.acknowledge()
        return Redriven([each.letter for each in sent], kept)

    async def reissue(
        self,
        service: str,
        ids: Collection[str],
        *,
        not_handled: bool = False,
        only: Choice = _every,
    ) -> list[tuple[DeadLetter, str]]:
        """Send these to the one queue each came from under a new id. Returns each with that id.

        Raises MayBeHandled, with nothing sent, unless `not_handled` says that no copy of them was
        handled, or when an inbox still knows whether one was: `redrive` is right then.
        """
        async with self._opened(service) as (channel, found):
            chosen = _chosen(found, ids, only)
            _refuse_to_reissue([each.letter for each in chosen], not_handled=not_handled)
            sent = []
            for each in chosen:
                message = each.copies[0]
                event = reissued(envelope_of(message.body) or {}, each.letter.id, self._clock())
                again = _again(message)
                again.body, again.message_id = event.body, str(event.id)
                await send_to_queue(channel, again, each.letter.queue)
                await each.acknowledge()
                sent.append((each.letter, str(event.id)))
        return sent

    async def discard(
        self,
        service: str,
        ids: Collection[str],
        *,
        stranding: bool = False,
        only: Choice = _every,
    ) -> list[DeadLetter]:
        """Throw these away for good. Raises WouldStrand, with nothing thrown away, when one of them
        is a step of a saga and `stranding` does not say that this is meant.
        """
        async with self._opened(service) as (_, found):
            chosen = _chosen(found, ids, only)
            if not stranding:
                _refuse_to_strand([each.letter for each in chosen])
            for each in chosen:
                await each.acknowledge()
        return [each.letter for each in chosen]

    @asynccontextmanager
    async def _opened(self, service: str) -> AsyncIterator[tuple[AbstractChannel, list[_Found]]]:
        if service not in self._services:
            raise DeadLetterError(f"no service {service}; there are {', '.join(self._services)}")
        async with look(self._url, service) as (channel, messages):
            yield channel, self._folded(messages)

    def _folded(self, messages: Sequence[AbstractIncomingMessage]) -> list[_Found]:
        now = self._clock()
        copies: dict[tuple[str, bytes], list[AbstractIncomingMessage]] = {}
        for message in messages:
            copies.setdefault((origin_of(message), message.body), []).append(message)
        return [_Found(self._letter(same, now), same) for same in copies.values()]

    def _letter(self, copies: Sequence[AbstractIncomingMessage], now: datetime) -> DeadLetter:
        last = copies[-1]
        queue = origin_of(last)
        envelope = envelope_of(last.body)
        attributes = envelope or {}
        named = str(attributes.get("id") or last.message_id or "")
        headers = last.headers
        return DeadLetter(
            id=named or f"sha256:{hashlib.sha256(last.body).hexdigest()[:16]}",
            queue=queue,
            type=str(attributes.get("type") or ""),
            subject=str(attributes.get("subject") or ""),
            error=str(headers.get(HEADER_ERROR) or headers.get("x-first-death-reason") or ""),
            attempts=_whole(headers.get(HEADER_ATTEMPTS)),
            refused_at=str(headers.get(HEADER_REFUSED_AT) or ""),
            copies=len(copies),
            strands=queue not in self._views,
            refused_again="its body is no JSON object"
            if envelope is None
            else forgotten(str(attributes.get("id")), now, self._window),
            reissuable=envelope is not None,
            body=last.body.decode(errors="replace"),
        )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _chosen(found: Sequence[_Found], ids: Collection[str] | None, only: Choice) -> list[_Found]:
    visible = [each for each in found if only(each.letter)]
    if ids is None:
        return visible
    missing = set(ids) - {each.letter.id for each in visible}
    if missing:
        raise NoDeadLetter(f"no dead letter with id {', '.join(sorted(missing))}")
    return [each for each in visible if each.letter.id in ids]


def how_to_go_on(letter: DeadLetter) -> str:
    """Say why it is of no use to redrive the letter, and the command that is of use."""
    way = (
        f"dead reissue {letter.service}" if letter.reissuable else f"dead discard {letter.service}"
    )
    return f"{letter.id} would come back at once, for {letter.refused_again}: {way} {letter.id}"


def _refuse_to_reissue(letters: Sequence[DeadLetter], *, not_handled: bool) -> None:
    for letter in letters:
        if not letter.reissuable:
            raise WouldComeBack(f"{letter.id} cannot be reissued, for {letter.refused_again}")
        if letter.refused_again is None:
            raise MayBeHandled(
                f"an inbox still knows whether {letter.id} was handled: "
                f"dead redrive {letter.service} {letter.id} sends it without risk"
            )
    if not not_handled:
        ids = ", ".join(letter.id for letter in letters)
        raise MayBeHandled(
            f"no inbox knows any more whether {ids} was handled, and a new id has a new effect"
        )


def _refuse_to_strand(letters: Sequence[DeadLetter]) -> None:
    stranded = sorted({letter.subject for letter in letters if letter.strands})
    if stranded:
        raise WouldStrand(f"would leave these unfinished for ever: {', '.join(stranded)}")


def _again(message: AbstractIncomingMessage) -> aio_pika.Message:
    ours = {HEADER_QUEUE, HEADER_ERROR, HEADER_ATTEMPTS, HEADER_REFUSED_AT}
    return copy_of(
        message,
        {
            name: value
            for name, value in message.headers.items()
            if name not in ours and not name.startswith(_BROKERS_OWN)
        },
    )
