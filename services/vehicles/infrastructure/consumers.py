"""What this service consumes, and how it reacts."""

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
from services.vehicles.infrastructure.postgres import PostgresVehiclesUnitOfWork


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


def reactions() -> Reactions[PostgresVehiclesUnitOfWork]:
    on = Reactions[PostgresVehiclesUnitOfWork]("vehicles", extensions=(TENANT,))

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
        uow: PostgresVehiclesUnitOfWork, event: Received[CreditReserved]
    ) -> None:
        await reserve_vehicle(uow, Purchase(tenant_id=tenant_of(event), **dict(event.data)))

    @on.forward("payment.processed.v1", PaymentEnded, compensated_by=["payment.refunded.v1"])
    async def sell_vehicle_when_payment_processed(
        uow: PostgresVehiclesUnitOfWork, event: Received[PaymentEnded]
    ) -> None:
        await sell_vehicle(uow, event.data.order_id)

    @on.backward("payment.code_generation_failed.v1", PaymentFailed)
    async def release_vehicle_when_code_generation_failed(
        uow: PostgresVehiclesUnitOfWork, event: Received[PaymentFailed]
    ) -> None:
        await release_vehicle(uow, event.data.order_id, tenant_of(event), event.data.reason)

    @on.backward("payment.failed.v1", PaymentFailed)
    async def release_vehicle_when_payment_failed(
        uow: PostgresVehiclesUnitOfWork, event: Received[PaymentFailed]
    ) -> None:
        await release_vehicle(uow, event.data.order_id, tenant_of(event), event.data.reason)

    @on.backward("payment.expired.v1", PaymentEnded)
    async def release_vehicle_when_payment_expired(
        uow: PostgresVehiclesUnitOfWork, event: Received[PaymentEnded]
    ) -> None:
        await release_vehicle(uow, event.data.order_id, tenant_of(event), "payment_expired")

    @on.backward("payment.voided.v1", PaymentEnded)
    async def release_vehicle_when_payment_voided(
        uow: PostgresVehiclesUnitOfWork, event: Received[PaymentEnded]
    ) -> None:
        await release_vehicle(uow, event.data.order_id, tenant_of(event), "payment_voided")

    @on.backward("payment.refunded.v1", PaymentEnded)
    async def release_vehicle_when_payment_refunded(
        uow: PostgresVehiclesUnitOfWork, event: Received[PaymentEnded]
    ) -> None:
        await release_vehicle(uow, event.data.order_id, tenant_of(event), "payment_refunded")

    return on


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
