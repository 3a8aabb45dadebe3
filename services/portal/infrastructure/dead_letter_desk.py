"""Dead letters as one tenant's operators see them. The actions are the command line's own."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from libs.messaging.dead_letters.dead_letters import DeadLetter, DeadLetterError, DeadLetters
from libs.messaging.saga.choreography import DescribedParticipant
from libs.runtime.auth import DEFAULT_TENANT


@dataclass(frozen=True)
class Letter:
    """`service` holds it among its dead letters."""

    service: str
    letter: DeadLetter


class DeadLetterDesk:
    """Who looks holds all messages for a moment: within this process one looks after another.

    What cannot be read belongs to no tenant that could be told: the default one's operators
    have it.
    """

    def __init__(self, participants: Sequence[DescribedParticipant], rabbitmq_url: str) -> None:
        self._participants = participants
        self._url = rabbitmq_url
        self._looking = asyncio.Lock()

    async def listed(self, tenant_id: str) -> list[Letter]:
        """The oldest first. Raises DeadLetterError."""
        async with self._looking:
            found = await self._letters().listed()
        return [
            Letter(each.queue.partition(".")[0], each)
            for each in found
            if _tenant(each) == tenant_id
        ]

    async def find(self, tenant_id: str, service: str, letter_id: str) -> DeadLetter | None:
        """Raises DeadLetterError."""
        return next(
            (
                each.letter
                for each in await self.listed(tenant_id)
                if each.service == service and each.letter.id == letter_id
            ),
            None,
        )

    async def redrive(self, service: str, letter_id: str) -> None:
        """Raises DeadLetterError. The caller has found the letter for its tenant."""
        async with self._looking:
            await self._letters().redrive(service, [letter_id])

    async def discard(self, service: str, letter_id: str, *, stranding: bool) -> None:
        """Raises DeadLetterError; WouldStrand unless `stranding` says that this is meant."""
        async with self._looking:
            await self._letters().discard(service, [letter_id], stranding=stranding)

    def _letters(self) -> DeadLetters:
        if not self._url:
            raise DeadLetterError("RABBITMQ_OPERATOR_URL is not set")
        return DeadLetters(self._participants, self._url)


def readable(letter: DeadLetter) -> str:
    """Its body, indented where it is JSON."""
    try:
        return json.dumps(json.loads(letter.body), indent=2, ensure_ascii=False)
    except ValueError:
        return letter.body


def _tenant(letter: DeadLetter) -> str:
    try:
        envelope = json.loads(letter.body)
    except ValueError:
        return DEFAULT_TENANT
    tenant = envelope.get("tenantid") if isinstance(envelope, dict) else None
    return tenant if isinstance(tenant, str) else DEFAULT_TENANT
