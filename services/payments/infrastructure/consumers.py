"""Payments consumes its peers' events with views of its own, and reacts to them."""

import secrets
from collections.abc import Callable
from uuid import UUID

from libs.kernel.ids import IdFactory, uuid7
from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import TENANT, tenant_of
from services.payments.application.cancel_payment import cancel_payment
from services.payments.application.generate_payment_code import (
    USUAL_TERMS,
    CodeTerms,
    generate_payment_code,
)
from services.payments.application.refund_failed_sale import refund_failed_sale
from services.payments.domain import events
from services.payments.domain.code import RANDOM_BITS
from services.payments.infrastructure.postgres import PostgresPaymentsUnitOfWork as Unit


class VehicleReserved(EventData):
    order_id: UUID
    customer_id: UUID
    price_cents: int


class OrderCancellationRequested(EventData):
    order_id: UUID


class VehicleSaleFailed(EventData):
    order_id: UUID


def reactions(
    terms: CodeTerms,
    new_id: IdFactory = uuid7,
    random_bits: Callable[[int], int] = secrets.randbits,
) -> Reactions[Unit]:
    on = Reactions[Unit]("payments", extensions=(TENANT,))

    @on.forward(
        "vehicle.reserved.v1",
        VehicleReserved,
        compensated_by=["order.cancellation_requested.v1", "vehicle.sale_failed.v1"],
    )
    async def generate_payment_code_when_vehicle_reserved(
        uow: Unit, event: Received[VehicleReserved]
    ) -> None:
        await generate_payment_code(
            uow,
            tenant_id=tenant_of(event),
            order_id=event.data.order_id,
            customer_id=event.data.customer_id,
            amount_cents=event.data.price_cents,
            payment_id=new_id(),
            code_number=random_bits(RANDOM_BITS),
            terms=terms,
        )

    @on.backward("order.cancellation_requested.v1", OrderCancellationRequested)
    async def cancel_payment_when_order_cancellation_requested(
        uow: Unit, event: Received[OrderCancellationRequested]
    ) -> None:
        await cancel_payment(
            uow, tenant_id=tenant_of(event), order_id=event.data.order_id, payment_id=new_id()
        )

    @on.backward("vehicle.sale_failed.v1", VehicleSaleFailed)
    async def refund_when_vehicle_sale_failed(
        uow: Unit, event: Received[VehicleSaleFailed]
    ) -> None:
        await refund_failed_sale(uow, order_id=event.data.order_id)

    return on


def participant(terms: CodeTerms = USUAL_TERMS) -> Participant:
    return Participant(
        "payments",
        publishes=(
            events.PaymentCodeGenerated,
            events.PaymentCodeGenerationFailed,
            events.PaymentProcessed,
            events.PaymentFailed,
            events.PaymentChargeUnanswered,
            events.PaymentExpired,
            events.PaymentVoided,
            events.PaymentRefunded,
            events.PaymentRefundFailed,
        ),
        reactions=reactions(terms),
    )
