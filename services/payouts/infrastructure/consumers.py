"""Payouts consumes an event of orders with a view of its own, and reacts to it."""

from uuid import UUID

from libs.kernel.ids import IdFactory, uuid7
from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import TENANT, tenant_of
from services.payouts.application.pay_seller import pay_seller
from services.payouts.domain.events import PayoutCompleted, PayoutFailed, PayoutUnanswered
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork as Unit


class OrderClosed(EventData):
    order_id: UUID
    seller_id: UUID | None
    total_cents: int


def reactions(new_id: IdFactory = uuid7) -> Reactions[Unit]:
    on = Reactions[Unit]("payouts", extensions=(TENANT,))

    @on.irrevocable("order.closed.v1", OrderClosed)
    async def pay_seller_when_order_closed(uow: Unit, event: Received[OrderClosed]) -> None:
        await pay_seller(
            uow,
            tenant_id=tenant_of(event),
            order_id=event.data.order_id,
            seller_id=event.data.seller_id,
            amount_cents=event.data.total_cents,
            payout_id=new_id(),
        )

    return on


def participant() -> Participant:
    return Participant(
        "payouts",
        publishes=(PayoutCompleted, PayoutUnanswered, PayoutFailed),
        reactions=reactions(),
    )
