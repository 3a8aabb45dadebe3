"""What orders consumes: its own views of peers' events, and its reactions."""

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime

from libs.kernel.clock import Clock, utc_now
from libs.messaging.envelope import EventData, Received
from libs.messaging.inbox.reactions import Reactions
from libs.messaging.saga.participant import Participant
from services.events import TENANT, tenant_of
from services.orders.application.advance_purchase import advance_purchase
from services.orders.application.complete_purchase import complete_purchase
from services.orders.application.end_purchase import end_purchase
from services.orders.application.note_event import note_event
from services.orders.application.note_payout import note_payout
from services.orders.application.show_payment_code import show_payment_code
from services.orders.application.turn_purchase_back import turn_purchase_back
from services.orders.domain.events import (
    OrderCancellationRequested,
    OrderCancelled,
    OrderClosed,
    OrderCompleted,
    OrderConfirmed,
    OrderFailed,
)
from services.orders.domain.history import Fact
from services.orders.domain.states import State
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork

BATCH_DELAY = 0.05
"""In seconds, for the two states that a purchase only passes through. Consuming their events at
once would slow the purchase.
"""


class Happened(EventData):
    order_id: UUID


class Failed(EventData):
    order_id: UUID
    reason: str


class CodeGenerated(EventData):
    order_id: UUID
    code: str
    expires_at: AwareDatetime


class VehicleSold(EventData):
    order_id: UUID
    seller_id: UUID


class PaidOut(EventData):
    order_id: UUID | None


def reactions(clock: Clock = utc_now) -> Reactions[PostgresOrdersUnitOfWork]:
    """A peer's step raises the purchase, its failure starts the compensation, the release of the
    credit ends it.

    Orders itself undoes nothing here, so all but the first and last steps are views.
    """
    on = Reactions[PostgresOrdersUnitOfWork]("orders", extensions=(TENANT,))

    @on.view("credit.reserved.v1", Happened, batch_delay=BATCH_DELAY)
    async def advance_purchase_when_credit_reserved(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        state, fact = State.CREDIT_RESERVED, _fact(event)
        await advance_purchase(uow, tenant_of(event), event.data.order_id, state, fact)

    @on.backward("credit.reservation_failed.v1", Failed)
    async def end_purchase_when_credit_reservation_failed(
        uow: PostgresOrdersUnitOfWork, event: Received[Failed]
    ) -> None:
        order_id, fact = event.data.order_id, _fact(event)
        await end_purchase(uow, tenant_of(event), order_id, event.data.reason, fact, clock())

    @on.view("vehicle.reserved.v1", Happened, batch_delay=BATCH_DELAY)
    async def advance_purchase_when_vehicle_reserved(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        state, fact = State.VEHICLE_RESERVED, _fact(event)
        await advance_purchase(uow, tenant_of(event), event.data.order_id, state, fact)

    @on.view("vehicle.reservation_failed.v1", Failed)
    async def turn_purchase_back_when_vehicle_reservation_failed(
        uow: PostgresOrdersUnitOfWork, event: Received[Failed]
    ) -> None:
        reason, fact = event.data.reason, _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.view("payment.code_generated.v1", CodeGenerated)
    async def show_payment_code_when_code_generated(
        uow: PostgresOrdersUnitOfWork, event: Received[CodeGenerated]
    ) -> None:
        code, expires_at, fact = event.data.code, event.data.expires_at, _fact(event)
        await show_payment_code(uow, tenant_of(event), event.data.order_id, code, expires_at, fact)

    @on.view("payment.code_generation_failed.v1", Failed)
    async def turn_purchase_back_when_code_generation_failed(
        uow: PostgresOrdersUnitOfWork, event: Received[Failed]
    ) -> None:
        reason, fact = event.data.reason, _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.view("payment.processed.v1", Happened)
    async def advance_purchase_when_payment_processed(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        state, fact = State.PAID, _fact(event)
        await advance_purchase(uow, tenant_of(event), event.data.order_id, state, fact)

    @on.view("payment.failed.v1", Failed)
    async def turn_purchase_back_when_payment_failed(
        uow: PostgresOrdersUnitOfWork, event: Received[Failed]
    ) -> None:
        reason, fact = event.data.reason, _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.view("payment.expired.v1", Happened)
    async def turn_purchase_back_when_payment_expired(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        reason, fact = "payment_expired", _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.view("payment.voided.v1", Happened)
    async def turn_purchase_back_when_payment_voided(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        reason, fact = None, _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.view("payment.refunded.v1", Happened)
    async def turn_purchase_back_when_payment_refunded(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        reason, fact = None, _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.view("payment.refund_failed.v1", Happened)
    async def ask_for_a_person_when_refund_failed(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        await note_event(uow, tenant_of(event), event.data.order_id, _fact(event))

    @on.view("payment.charge_unanswered.v1", Happened)
    async def ask_for_a_person_when_charge_unanswered(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        await note_event(uow, tenant_of(event), event.data.order_id, _fact(event))

    @on.forward("vehicle.sold.v1", VehicleSold, compensated_by=["credit.released.v1"])
    async def complete_purchase_when_vehicle_sold(
        uow: PostgresOrdersUnitOfWork, event: Received[VehicleSold]
    ) -> None:
        seller_id, fact = event.data.seller_id, _fact(event)
        await complete_purchase(
            uow, tenant_of(event), event.data.order_id, seller_id, fact, clock()
        )

    @on.view("vehicle.sale_failed.v1", Failed)
    async def turn_purchase_back_when_sale_failed(
        uow: PostgresOrdersUnitOfWork, event: Received[Failed]
    ) -> None:
        reason, fact = event.data.reason, _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.view("vehicle.released.v1", Happened)
    async def turn_purchase_back_when_vehicle_released(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        reason, fact = None, _fact(event)
        await turn_purchase_back(uow, tenant_of(event), event.data.order_id, reason, fact)

    @on.backward("credit.released.v1", Happened)
    async def end_purchase_when_credit_released(
        uow: PostgresOrdersUnitOfWork, event: Received[Happened]
    ) -> None:
        order_id, fact = event.data.order_id, _fact(event)
        await end_purchase(uow, tenant_of(event), order_id, None, fact, clock())

    @on.view("payout.completed.v1", PaidOut)
    async def note_payout_when_payout_completed(
        uow: PostgresOrdersUnitOfWork, event: Received[PaidOut]
    ) -> None:
        await note_payout(uow, tenant_of(event), event.data.order_id, _fact(event))

    @on.view("payout.unanswered.v1", PaidOut)
    async def ask_for_a_person_when_payout_unanswered(
        uow: PostgresOrdersUnitOfWork, event: Received[PaidOut]
    ) -> None:
        await note_payout(uow, tenant_of(event), event.data.order_id, _fact(event))

    @on.view("payout.failed.v1", PaidOut)
    async def ask_for_a_person_when_payout_failed(
        uow: PostgresOrdersUnitOfWork, event: Received[PaidOut]
    ) -> None:
        await note_payout(uow, tenant_of(event), event.data.order_id, _fact(event))

    return on


def participant() -> Participant:
    return Participant(
        "orders",
        publishes=(
            OrderConfirmed,
            OrderCancellationRequested,
            OrderCompleted,
            OrderFailed,
            OrderCancelled,
            OrderClosed,
        ),
        reactions=reactions(),
    )


def _fact(event: Received[Any]) -> Fact:
    return Fact(event.type, event.source, event.sequence, event.time)
