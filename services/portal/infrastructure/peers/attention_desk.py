"""Operators see their tenant's payments and payouts that wait for a person. The data comes from the
services' own APIs, called in the name of the signed-in user.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from services.portal.domain.user import User
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable, Reply

Service = Literal["payments", "payouts"]
SERVICES: Sequence[Service] = ("payments", "payouts")
NAMED_BY: Mapping[Service, str] = {"payments": "payment_id", "payouts": "external_id"}
MOST_LISTED = 100


@dataclass(frozen=True)
class Question:
    """A person is asked about an amount, and the service accepts the answer.

    `outcomes` are the API's names of "the money has moved" and "it has not", or None where only a
    settlement by hand can be recorded. `settle` and `retry` follow the path of the payment or
    payout. They are empty where the service has no such address.
    """

    kind: str
    outcomes: tuple[str, str] | None
    settle: str
    retry: str


QUESTIONS: Mapping[tuple[Service, str], Question] = {
    ("payments", "PROCESSING"): Question(
        "charge", ("charged", "not_charged"), "/charge/settle", ""
    ),
    ("payments", "REFUND_FAILED"): Question("refund", None, "/refund/settle", "/refund/retry"),
    ("payouts", "PENDING"): Question("transfer", ("paid", "not_paid"), "/settle", ""),
    ("payouts", "FAILED"): Question("payout", None, "", "/retry"),
}
"""Each service and state has its question."""


@dataclass(frozen=True)
class Waiting:
    """`id` is the service's own id. A decision is based on `version`."""

    service: Service
    id: str
    question: Question
    amount_cents: int
    order_id: str | None
    attempts: int
    reason: str | None
    version: str = ""


@dataclass(frozen=True)
class WaitingForAPerson:
    """`more` says that others are not shown. `silent` lists the services that did not answer."""

    shown: list[Waiting] = field(default_factory=list)
    more: bool = False
    silent: list[str] = field(default_factory=list)


class AttentionDesk:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def listed(self, user: User) -> WaitingForAPerson:
        """Return what waits, the oldest of each service first."""
        answers = await asyncio.gather(*(self._asked(user, service) for service in SERVICES))
        found = dict(zip(SERVICES, answers, strict=True))
        rows = [
            _waiting(service, row)
            for service, body in found.items()
            if body is not None
            for row in body["items"]
        ]
        return WaitingForAPerson(
            [row for row in rows if row is not None],
            any(body is not None and body["next"] for body in found.values()),
            [service for service, body in found.items() if body is None],
        )

    async def find(self, user: User, service: Service, identifier: str) -> Waiting | None:
        """Return what waits, or None where it does not wait or exist. Raises PeerUnavailable."""
        try:
            reply = await self._peers.get(user, service, _path(service, identifier))
        except PeerRefusal:
            return None
        return _waiting(service, reply.body, reply.version)

    async def retry(self, user: User, it: Waiting, version: str, key: str) -> Reply:
        """Request another try. Raises PeerUnavailable, PeerRefusal."""
        return await self._send(user, it, it.question.retry, None, version, key)

    async def settle(
        self, user: User, it: Waiting, answer: Mapping[str, str], version: str, key: str
    ) -> Reply:
        """Send `answer`, in the form of the service. Raises PeerUnavailable, PeerRefusal."""
        return await self._send(user, it, it.question.settle, dict(answer), version, key)

    async def _send(
        self, user: User, it: Waiting, what: str, body: Any, version: str, key: str
    ) -> Reply:
        path = _path(it.service, it.id) + what
        return await self._peers.send(
            user, it.service, "POST", path, body, key=key, version=version
        )

    async def _asked(self, user: User, service: Service) -> Any:
        try:
            reply = await self._peers.get(
                user, service, f"/{service}", needs_attention="true", limit=MOST_LISTED
            )
        except (PeerUnavailable, PeerRefusal):
            return None
        return reply.body


def _path(service: Service, identifier: str) -> str:
    return f"/{service}/{quote(identifier, safe='')}"


def _waiting(service: Service, row: Mapping[str, Any], version: str = "") -> Waiting | None:
    """Return the row in the form of this page, or None where it waits for nobody."""
    question = QUESTIONS.get((service, row.get("state") or row["status"]))
    if question is None or not row["needs_attention"]:
        return None
    return Waiting(
        service=service,
        id=row[NAMED_BY[service]],
        question=question,
        amount_cents=row["amount_cents"],
        order_id=row["order_id"],
        attempts=row["attempts"],
        reason=row.get("refund_error") or row["reason"],
        version=version,
    )
