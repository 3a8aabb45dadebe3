"""A tenant's operators see its dead letters. The actions are those of the command line."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from libs.messaging.broker_url import BrokerUrl
from libs.messaging.dead_letters.dead_letters import Choice, DeadLetter, DeadLetters
from libs.messaging.dead_letters.look import DeadLetterError
from libs.messaging.saga.choreography import DescribedParticipant
from libs.runtime.auth import DEFAULT_TENANT

WATCH_SECONDS = 2.0
LOOK_SECONDS = 0.4
MOST_SHOWN = 50


@dataclass(frozen=True)
class Redriven:
    """This is the result of a redrive. `back` letters were refused again within WATCH_SECONDS.
    `kept` letters were not sent, because their service would refuse them at once.
    """

    sent: Sequence[DeadLetter]
    back: Sequence[DeadLetter]
    kept: Sequence[DeadLetter]


@dataclass(frozen=True)
class Group:
    """A group has letters of one queue that were refused for one reason, the oldest first. `shown`
    are the first MOST_SHOWN of `count`; `sendable` of them are not refused again at once.
    """

    queue: str
    error: str
    shown: Sequence[DeadLetter]
    count: int
    sendable: int

    @property
    def service(self) -> str:
        return self.queue.partition(".")[0]


class DeadLetterDesk:
    """Each method reads the queues once, finds the tenant's letters and acts on them.

    A message that cannot be read names no tenant, so it belongs to the default one's operators.
    Every method raises DeadLetterError.
    """

    def __init__(
        self, participants: Sequence[DescribedParticipant], rabbitmq_url: BrokerUrl
    ) -> None:
        self._participants = participants
        self._url = rabbitmq_url

    async def listed(self, tenant_id: str) -> list[DeadLetter]:
        """Return the letters, oldest first."""
        return [each for each in await self._letters().listed() if _belongs_to(tenant_id, each)]

    async def find(self, tenant_id: str, service: str, letter_id: str) -> DeadLetter | None:
        found = await self._letters().listed(service)
        own = (each for each in found if each.id == letter_id and _belongs_to(tenant_id, each))
        return next(own, None)

    async def redrive(self, tenant_id: str, service: str, chosen: Choice) -> Redriven:
        """Redrive the chosen letters, and watch whether they come back."""
        letters = self._letters()

        def only(letter: DeadLetter) -> bool:
            return _belongs_to(tenant_id, letter) and chosen(letter)

        redriven = await letters.redrive(service, only=only)
        back = await _returned(letters, service, redriven.sent)
        return Redriven(redriven.sent, back, redriven.kept)

    async def reissue(
        self, tenant_id: str, service: str, letter_id: str, *, not_handled: bool
    ) -> tuple[DeadLetter, str]:
        """Reissue the letter. Returns the letter and its new id. Raises MayBeHandled unless
        `not_handled` says that no copy of it was handled.
        """
        only = partial(_belongs_to, tenant_id)
        sent = await self._letters().reissue(
            service, [letter_id], not_handled=not_handled, only=only
        )
        return sent[0]

    async def discard(
        self, tenant_id: str, service: str, letter_id: str, *, stranding: bool
    ) -> DeadLetter:
        """Discard the letter. Raises WouldStrand unless `stranding` confirms the consequence."""
        only = partial(_belongs_to, tenant_id)
        gone = await self._letters().discard(service, [letter_id], stranding=stranding, only=only)
        return gone[0]

    def _letters(self) -> DeadLetters:
        if not self._url:
            raise DeadLetterError("RABBITMQ_OPERATOR_URL is not set")
        url = self._url
        return DeadLetters(self._participants, url if isinstance(url, str) else url())


async def _returned(
    letters: DeadLetters, service: str, sent: Sequence[DeadLetter]
) -> list[DeadLetter]:
    """Return the letters that are dead again. One that is tried several times comes back later."""
    ids = {(each.queue, each.id) for each in sent}
    back: list[DeadLetter] = []
    if not sent:
        return back
    loop = asyncio.get_running_loop()
    until = loop.time() + WATCH_SECONDS
    while len(back) < len(sent) and loop.time() < until:
        await asyncio.sleep(LOOK_SECONDS)
        back = [each for each in await letters.listed(service) if (each.queue, each.id) in ids]
    return back


def grouped(letters: Sequence[DeadLetter]) -> list[Group]:
    """Group letters by queue and error. The group of the oldest letter is first."""
    groups: dict[tuple[str, str], list[DeadLetter]] = {}
    for letter in letters:
        groups.setdefault((letter.queue, letter.error), []).append(letter)
    return [
        Group(
            queue,
            error,
            same[:MOST_SHOWN],
            len(same),
            sum(each.refused_again is None for each in same),
        )
        for (queue, error), same in groups.items()
    ]


def refused_at(letter: DeadLetter) -> datetime | None:
    """Return when it was dead-lettered, or None where the letter does not say."""
    try:
        at = datetime.fromisoformat(letter.refused_at)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def readable(letter: DeadLetter) -> str:
    """Return the body of the letter, indented where it is JSON."""
    try:
        return json.dumps(json.loads(letter.body), indent=2, ensure_ascii=False)
    except ValueError:
        return letter.body


def _belongs_to(tenant_id: str, letter: DeadLetter) -> bool:
    return _tenant(letter) == tenant_id


def _tenant(letter: DeadLetter) -> str:
    try:
        envelope = json.loads(letter.body)
    except ValueError:
        return DEFAULT_TENANT
    tenant = envelope.get("tenantid") if isinstance(envelope, dict) else None
    return tenant if isinstance(tenant, str) else DEFAULT_TENANT
