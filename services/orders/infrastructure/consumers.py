"""Orders consumes its peers' events with views of its own, and reacts to them."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypedDict
from uuid import UUID

from pydantic import AwareDatetime

from libs.kernel.clock import Clock, utc_now
from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
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
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork as Unit

BATCH_DELAY = 0.05
"""The batch delay, in seconds, of the two states that a purchase only passes through. Consuming
their events at once would slow the purchase.
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


Handler = Callable[[Unit, Received[Happened]], Awaitable[None]]


class About(TypedDict):
    """Every use case is told which purchase the event is about, and the event."""

    tenant_id: str
    order_id: UUID
    fact: Fact


def reactions(clock: Clock = utc_now) -> Reactions[Unit]:
    """A peer's step raises the purchase, its failure starts the compensation, and the release of
    the credit ends the purchase.

    Orders itself undoes nothing here, so all but the first and last steps are views.
    """
    on = Reactions[Unit]("orders", extensions=(TENANT,))

    @on.backward("credit.reservation_failed.v1", Failed)
    async def end_purchase_when_credit_reservation_failed(
        uow: Unit, event: Received[Failed]
    ) -> None:
        await end_purchase(uow, **_about(event), reason=event.data.reason, now=clock())

    @on.view("payment.code_generated.v1", CodeGenerated)
    async def show_payment_code_when_code_generated(
        uow: Unit, event: Received[CodeGenerated]
    ) -> None:
        code, expires_at = event.data.code, event.data.expires_at
        await show_payment_code(uow, **_about(event), code=code, expires_at=expires_at)

    @on.forward("vehicle.sold.v1", VehicleSold, compensated_by=["credit.released.v1"])
    async def complete_purchase_when_vehicle_sold(uow: Unit, event: Received[VehicleSold]) -> None:
        seller_id = event.data.seller_id
        await complete_purchase(uow, **_about(event), seller_id=seller_id, now=clock())

    @on.backward("credit.released.v1", Happened)
    async def end_purchase_when_credit_released(uow: Unit, event: Received[Happened]) -> None:
        await end_purchase(uow, **_about(event), reason=None, now=clock())

    _advance_purchase(on)
    _turn_purchase_back(on)
    _keep_in_history(on)
    return on


def _advance_purchase(on: Reactions[Unit]) -> None:
    def to(state: State) -> Handler:
        async def advance(uow: Unit, event: Received[Happened]) -> None:
            await advance_purchase(uow, **_about(event), state=state)

        return advance

    row = partial(on.view, data_model=Happened, does="advance purchase")
    row("credit.reserved.v1", batch_delay=BATCH_DELAY)(to(State.CREDIT_RESERVED))
    row("vehicle.reserved.v1", batch_delay=BATCH_DELAY)(to(State.VEHICLE_RESERVED))
    row("payment.processed.v1")(to(State.PAID))


def _turn_purchase_back(on: Reactions[Unit]) -> None:
    async def with_its_reason(uow: Unit, event: Received[Failed]) -> None:
        await turn_purchase_back(uow, **_about(event), reason=event.data.reason)

    def because(reason: str | None) -> Handler:
        async def turn_back(uow: Unit, event: Received[Happened]) -> None:
            await turn_purchase_back(uow, **_about(event), reason=reason)

        return turn_back

    does = "turn purchase back"
    on.view("vehicle.reservation_failed.v1", Failed, does=does)(with_its_reason)
    on.view("payment.code_generation_failed.v1", Failed, does=does)(with_its_reason)
    on.view("payment.failed.v1", Failed, does=does)(with_its_reason)
    on.view("payment.expired.v1", Happened, does=does)(because("payment_expired"))
    on.view("payment.voided.v1", Happened, does=does)(because(None))
    on.view("payment.refunded.v1", Happened, does=does)(because(None))
    on.view("vehicle.sale_failed.v1", Failed, does=does)(with_its_reason)
    on.view("vehicle.released.v1", Happened, does=does)(because(None))


def _keep_in_history(on: Reactions[Unit]) -> None:
    async def note(uow: Unit, event: Received[Happened]) -> None:
        await note_event(uow, **_about(event))

    async def note_paying(uow: Unit, event: Received[PaidOut]) -> None:
        order_id, fact = event.data.order_id, _fact(event)
        await note_payout(uow, tenant_id=tenant_of(event), order_id=order_id, fact=fact)

    asks = "ask for a person"
    on.view("payment.refund_failed.v1", Happened, does=asks)(note)
    on.view("payment.charge_unanswered.v1", Happened, does=asks)(note)
    on.view("payout.completed.v1", PaidOut, does="note payout")(note_paying)
    on.view("payout.unanswered.v1", PaidOut, does=asks)(note_paying)
    on.view("payout.failed.v1", PaidOut, does=asks)(note_paying)


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


def _about(event: Received[Any]) -> About:
    order_id: UUID = event.data.order_id
    return About(tenant_id=tenant_of(event), order_id=order_id, fact=_fact(event))


def _fact(event: Received[Any]) -> Fact:
    return Fact(event.type, event.source, event.sequence, event.time)
