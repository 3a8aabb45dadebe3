"""Kpis consumes its peers' events with views of its own. Each event is kept whole as a fact, so
that a KPI defined later finds what it needs. The views name only what the read model uses now.
"""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict

from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import TENANT, tenant_of
from services.kpis.domain.fact import Fact
from services.kpis.infrastructure.postgres import PostgresKpisUnitOfWork as Unit


class Whole(EventData):
    model_config = ConfigDict(frozen=True, extra="allow")


class Completed(Whole):
    customer_id: UUID
    vehicle_id: UUID
    seller_id: UUID
    total_cents: int


class Ended(Whole):
    customer_id: UUID
    vehicle_id: UUID
    total_cents: int
    reason: str | None


class Closed(Whole):
    seller_id: UUID | None
    total_cents: int


class PaidOut(Whole):
    order_id: UUID | None
    seller_id: UUID | None
    amount_cents: int


class Listed(Whole):
    seller_id: UUID
    make: str
    model: str
    year: int
    price_cents: int


class Updated(Listed):
    is_sold: bool


def reactions() -> Reactions[Unit]:
    """All reactions are views: they compute figures, and none is a step of a purchase."""
    on = Reactions[Unit]("kpis", extensions=(TENANT,))

    async def keep(uow: Unit, event: Received[Any]) -> None:
        uow.facts.add(_fact(event))

    on.view("order.completed.v1", Completed, does="count sale")(keep)
    on.view("order.failed.v1", Ended, does="count lost purchase")(keep)
    on.view("order.cancelled.v1", Ended, does="reverse sale")(keep)
    on.view("order.closed.v1", Closed, does="count due payout")(keep)
    on.view("payout.completed.v1", PaidOut, does="count paid payout")(keep)
    on.view("payout.failed.v1", PaidOut, does="count failed payout")(keep)
    on.view("vehicle.listed.v1", Listed, does="count vehicle")(keep)
    on.view("vehicle.updated.v1", Updated, does="follow vehicle")(keep)
    on.view("vehicle.withdrawn.v1", Whole, does="take vehicle away")(keep)
    on.view("customer.registered.v1", Whole, does="count customer")(keep)
    on.view("customer.updated.v1", Whole, does="note update")(keep)
    on.view("customer.erased.v1", Whole, does="note erasure")(keep)
    return on


def participant() -> Participant:
    return Participant("kpis", publishes=(), reactions=reactions())


def _fact(event: Received[Any]) -> Fact:
    return Fact(
        event_id=event.id,
        tenant_id=tenant_of(event),
        type=event.type,
        subject=UUID(event.subject),
        sequence=event.sequence,
        occurred_at=event.time,
        data=event.data.model_dump(mode="json"),
    )
