"""A tenant's operators see the events that the services' relays have given up. The data comes from
the services' own API, called in the name of the signed-in user.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.portal.domain.ids import as_id
from services.portal.domain.user import User
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

PATH = "/outbox/given-up"


@dataclass(frozen=True)
class GivenUpEvent:
    """`behind` is the number of events of its subject that wait for it. `needs_new_id` says that no
    inbox knows its id any more, `of_purchase` that its subject is a purchase with a timeline here.
    """

    service: str
    id: UUID
    type: str
    subject: str
    created_at: datetime
    error: str
    behind: int
    needs_new_id: bool
    of_purchase: bool


@dataclass(frozen=True)
class GivenUpEvents:
    """`more` is the number of others. `silent` lists the services that did not answer."""

    shown: list[GivenUpEvent] = field(default_factory=list)
    more: int = 0
    silent: list[str] = field(default_factory=list)


class GivenUpDesk:
    def __init__(self, transactions: Store, peers: Peers) -> None:
        self._transactions = transactions
        self._peers = peers

    async def listed(self, user: User, services: Iterable[str]) -> GivenUpEvents:
        """Return the events of these services, the oldest of each service first."""
        names = list(services)
        answers = await asyncio.gather(*(self._asked(user, name) for name in names))
        found = {name: body for name, body in zip(names, answers, strict=True) if body is not None}
        rows = [(name, row) for name, body in found.items() for row in body["items"]]
        purchases = await self._purchases(user.tenant_id, {row["subject"] for _, row in rows})
        return GivenUpEvents(
            [_event(name, row, purchases) for name, row in rows],
            sum(body["total"] for body in found.values()) - len(rows),
            [name for name in names if name not in found],
        )

    async def find(self, user: User, service: str, event_id: str) -> GivenUpEvent | None:
        """Return the event, or None where it is not given up. Raises PeerUnavailable."""
        found = await self.listed(user, [service])
        if found.silent:
            raise PeerUnavailable(service)
        return next((each for each in found.shown if str(each.id) == event_id), None)

    async def send_again(
        self, user: User, service: str, event_id: UUID, *, not_handled: bool
    ) -> Any:
        """Release the event. Returns the service's answer. Raises PeerUnavailable, PeerRefusal."""
        path = f"{PATH}/{event_id}/send-again"
        body = {"not_handled": not_handled}
        return (await self._peers.send(user, service, "POST", path, body)).body

    async def _asked(self, user: User, service: str) -> Any:
        try:
            return (await self._peers.get(user, service, PATH)).body
        except (PeerUnavailable, PeerRefusal):
            return None

    async def _purchases(self, tenant_id: str, subjects: set[str]) -> set[str]:
        """Return those of `subjects` that are purchases with a timeline."""

        async def look(uow: PostgresPortalUnitOfWork) -> set[str]:
            ids = [known for known in map(as_id, subjects) if known is not None]
            return {
                str(each)
                for each in ids
                if await uow.timeline.find_purchase(tenant_id, each) is not None
            }

        return await self._transactions.read(look) if subjects else set()


def _event(service: str, row: Any, purchases: set[str]) -> GivenUpEvent:
    return GivenUpEvent(
        service=service,
        id=UUID(row["id"]),
        type=row["type"],
        subject=row["subject"],
        created_at=datetime.fromisoformat(row["created_at"]),
        error=row["error"],
        behind=row["behind"],
        needs_new_id=row["needs_new_id"],
        of_purchase=row["subject"] in purchases,
    )
