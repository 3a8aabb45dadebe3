"""Vehicles consumes its peers' events with views of its own, and reacts to them."""

from functools import partial
from typing import Any
from uuid import UUID

from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import TENANT, tenant_of
from services.vehicles.application.release_vehicle import release_vehicle
from services.vehicles.application.reserve_vehicle import reserve_vehicle
from services.vehicles.application.sell_vehicle import sell_vehicle
from services.vehicles.domain import events
from services.vehicles.domain.reservation import Purchase
from services.vehicles.infrastructure.postgres import PostgresVehiclesUnitOfWork as Unit

REASONS = {
    "payment.expired.v1": "payment_expired",
    "payment.voided.v1": "payment_voided",
    "payment.refunded.v1": "payment_refunded",
}
"""These events give no reason, so each has the reason why the vehicle is released."""


class CreditReserved(EventData):
    order_id: UUID
    customer_id: UUID
    vehicle_id: UUID
    total_cents: int


class PaymentEnded(EventData):
    order_id: UUID


class PaymentFailed(EventData):
    order_id: UUID
    reason: str


def reactions() -> Reactions[Unit]:
    on = Reactions[Unit]("vehicles", extensions=(TENANT,))

    @on.forward(
        "credit.reserved.v1",
        CreditReserved,
        compensated_by=[
            "payment.code_generation_failed.v1",
            "payment.failed.v1",
            "payment.expired.v1",
            "payment.voided.v1",
            "payment.refunded.v1",
        ],
    )
    async def reserve_vehicle_when_credit_reserved(
        uow: Unit, event: Received[CreditReserved]
    ) -> None:
        purchase = Purchase(
            order_id=event.data.order_id,
            tenant_id=tenant_of(event),
            customer_id=event.data.customer_id,
            vehicle_id=event.data.vehicle_id,
            price_cents=event.data.total_cents,
        )
        await reserve_vehicle(uow, purchase=purchase)

    @on.forward("payment.processed.v1", PaymentEnded, compensated_by=["payment.refunded.v1"])
    async def sell_vehicle_when_payment_processed(uow: Unit, event: Received[PaymentEnded]) -> None:
        await sell_vehicle(uow, order_id=event.data.order_id)

    _release_vehicle(on)
    return on


def _release_vehicle(on: Reactions[Unit]) -> None:
    async def release(uow: Unit, event: Received[Any], reason: str) -> None:
        order_id, tenant_id = event.data.order_id, tenant_of(event)
        await release_vehicle(uow, tenant_id=tenant_id, order_id=order_id, reason=reason)

    async def with_its_reason(uow: Unit, event: Received[PaymentFailed]) -> None:
        await release(uow, event, event.data.reason)

    does = "release vehicle"
    for failed in ("payment.code_generation_failed.v1", "payment.failed.v1"):
        on.backward(failed, PaymentFailed, does=does)(with_its_reason)
    for ended, reason in REASONS.items():
        on.backward(ended, PaymentEnded, does=does)(partial(release, reason=reason))


def participant() -> Participant:
    return Participant(
        "vehicles",
        publishes=(
            events.VehicleReserved,
            events.VehicleReservationFailed,
            events.VehicleReleased,
            events.VehicleSold,
            events.VehicleSaleFailed,
            events.VehicleListed,
            events.VehicleUpdated,
            events.VehicleWithdrawn,
        ),
        reactions=reactions(),
    )
