"""Dead letters as one tenant's operators see them. The actions are the command line's own."""

import json
from collections.abc import Sequence
from functools import partial

from libs.messaging.dead_letters.dead_letters import DeadLetter, DeadLetters
from libs.messaging.dead_letters.look import DeadLetterError
from libs.messaging.saga.choreography import DescribedParticipant
from libs.runtime.auth import DEFAULT_TENANT


class DeadLetterDesk:
    """Each method is one look, which finds a letter of the tenant and acts on it.

    A message that cannot be read names no tenant: the operators of the default one have it. Every
    method raises DeadLetterError.
    """

    def __init__(self, participants: Sequence[DescribedParticipant], rabbitmq_url: str) -> None:
        self._participants = participants
        self._url = rabbitmq_url

    async def listed(self, tenant_id: str) -> list[DeadLetter]:
        """The oldest first."""
        return [each for each in await self._letters().listed() if _belongs_to(tenant_id, each)]

    async def find(self, tenant_id: str, service: str, letter_id: str) -> DeadLetter | None:
        found = await self._letters().listed(service)
        own = (each for each in found if each.id == letter_id and _belongs_to(tenant_id, each))
        return next(own, None)

    async def redrive(self, tenant_id: str, service: str, letter_id: str) -> DeadLetter:
        """Raises WouldComeBack where its service would refuse it again at once."""
        only = partial(_belongs_to, tenant_id)
        redriven = await self._letters().redrive(service, [letter_id], only=only)
        return redriven.sent[0]

    async def reissue(
        self, tenant_id: str, service: str, letter_id: str, *, not_handled: bool
    ) -> tuple[DeadLetter, str]:
        """The letter and its new id. Raises MayBeHandled unless `not_handled` says that no copy
        of it was handled.
        """
        only = partial(_belongs_to, tenant_id)
        sent = await self._letters().reissue(
            service, [letter_id], not_handled=not_handled, only=only
        )
        return sent[0]

    async def discard(
        self, tenant_id: str, service: str, letter_id: str, *, stranding: bool
    ) -> DeadLetter:
        """Raises WouldStrand unless `stranding` says that this is meant."""
        only = partial(_belongs_to, tenant_id)
        gone = await self._letters().discard(service, [letter_id], stranding=stranding, only=only)
        return gone[0]

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


def _belongs_to(tenant_id: str, letter: DeadLetter) -> bool:
    return _tenant(letter) == tenant_id


def _tenant(letter: DeadLetter) -> str:
    try:
        envelope = json.loads(letter.body)
    except ValueError:
        return DEFAULT_TENANT
    tenant = envelope.get("tenantid") if isinstance(envelope, dict) else None
    return tenant if isinstance(tenant, str) else DEFAULT_TENANT
