"""Customers consumes its peers' events with views of its own, and reacts to them."""

from uuid import UUID

from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.customers.application.consume_credit import consume_credit
from services.customers.application.note_order_closed import note_order_closed
from services.customers.application.release_credit import release_credit
from services.customers.application.reserve_credit import reserve_credit
from services.customers.domain.events import (
    CreditReleased,
    CreditReservationFailed,
    CreditReserved,
    CustomerErased,
    CustomerRegistered,
    CustomerUpdated,
)
from services.customers.infrastructure.postgres import PostgresCustomersUnitOfWork as Unit
from services.events import TENANT, tenant_of


class OrderConfirmed(EventData):
    order_id: UUID
    customer_id: UUID
    vehicle_id: UUID
    total_cents: int


class Purchase(EventData):
    """All other events are read for the purchase they are about alone."""

    order_id: UUID


def reactions() -> Reactions[Unit]:
    on = Reactions[Unit]("customers", extensions=(TENANT,))

    @on.forward(
        "order.confirmed.v1",
        OrderConfirmed,
        compensated_by=["vehicle.released.v1", "vehicle.reservation_failed.v1"],
    )
    async def reserve_credit_when_order_confirmed(
        uow: Unit, event: Received[OrderConfirmed]
    ) -> None:
        await reserve_credit(
            uow,
            tenant_id=tenant_of(event),
            order_id=event.data.order_id,
            customer_id=event.data.customer_id,
            vehicle_id=event.data.vehicle_id,
            price_cents=event.data.total_cents,
        )

    async def release(uow: Unit, event: Received[Purchase]) -> None:
        await release_credit(uow, tenant_id=tenant_of(event), order_id=event.data.order_id)

    for released in ("vehicle.reservation_failed.v1", "vehicle.released.v1"):
        on.backward(released, Purchase, does="release credit")(release)

    @on.forward("order.completed.v1", Purchase, compensated_by=["vehicle.released.v1"])
    async def consume_credit_when_order_completed(uow: Unit, event: Received[Purchase]) -> None:
        await consume_credit(uow, order_id=event.data.order_id)

    @on.view("order.closed.v1", Purchase)
    async def note_closing_when_order_closed(uow: Unit, event: Received[Purchase]) -> None:
        await note_order_closed(uow, order_id=event.data.order_id)

    return on


def participant() -> Participant:
    return Participant(
        "customers",
        publishes=(
            CreditReserved,
            CreditReservationFailed,
            CreditReleased,
            CustomerRegistered,
            CustomerUpdated,
            CustomerErased,
        ),
        reactions=reactions(),
    )
