"""What kpis consumes: its own views of peers' events. Each event is kept whole as a fact, so that a
KPI defined later finds what it needs. The views name only what the read model uses now.
"""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict

from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import TENANT, tenant_of
from services.kpis.domain.fact import Fact
from services.kpis.infrastructure.postgres import PostgresKpisUnitOfWork


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


def reactions() -> Reactions[PostgresKpisUnitOfWork]:
    """All reactions are views: they compute figures, and none is a step of a purchase."""
    on = Reactions[PostgresKpisUnitOfWork]("kpis", extensions=(TENANT,))

    @on.view("order.completed.v1", Completed)
    async def count_sale_when_order_completed(
        uow: PostgresKpisUnitOfWork, event: Received[Completed]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("order.failed.v1", Ended)
    async def count_lost_purchase_when_order_failed(
        uow: PostgresKpisUnitOfWork, event: Received[Ended]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("order.cancelled.v1", Ended)
    async def reverse_sale_when_order_cancelled(
        uow: PostgresKpisUnitOfWork, event: Received[Ended]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("order.closed.v1", Closed)
    async def count_due_payout_when_order_closed(
        uow: PostgresKpisUnitOfWork, event: Received[Closed]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("payout.completed.v1", PaidOut)
    async def count_paid_payout_when_payout_completed(
        uow: PostgresKpisUnitOfWork, event: Received[PaidOut]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("payout.failed.v1", PaidOut)
    async def count_failed_payout_when_payout_failed(
        uow: PostgresKpisUnitOfWork, event: Received[PaidOut]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("vehicle.listed.v1", Listed)
    async def count_vehicle_when_vehicle_listed(
        uow: PostgresKpisUnitOfWork, event: Received[Listed]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("vehicle.updated.v1", Updated)
    async def follow_vehicle_when_vehicle_updated(
        uow: PostgresKpisUnitOfWork, event: Received[Updated]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("vehicle.withdrawn.v1", Whole)
    async def take_vehicle_away_when_vehicle_withdrawn(
        uow: PostgresKpisUnitOfWork, event: Received[Whole]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("customer.registered.v1", Whole)
    async def count_customer_when_customer_registered(
        uow: PostgresKpisUnitOfWork, event: Received[Whole]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("customer.updated.v1", Whole)
    async def note_update_when_customer_updated(
        uow: PostgresKpisUnitOfWork, event: Received[Whole]
    ) -> None:
        uow.facts.add(_fact(event))

    @on.view("customer.erased.v1", Whole)
    async def note_erasure_when_customer_erased(
        uow: PostgresKpisUnitOfWork, event: Received[Whole]
    ) -> None:
        uow.facts.add(_fact(event))

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
