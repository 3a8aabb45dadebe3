"""The portal consumes every event of every purchase, vehicle and customer.

Nothing here moves a purchase: each event is added to the timeline of its subject.
"""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from pydantic import ConfigDict

from libs.kernel.clock import Clock, utc_now
from libs.kernel.ids import IdFactory, uuid7
from libs.messaging.envelope import EventData, Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import TENANT, tenant_of
from services.portal.application.erase_user import erase_user
from services.portal.application.note_event import note_event
from services.portal.domain.timeline import Fact, Kind
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork

OF_A_PURCHASE = (
    "order.confirmed.v1",
    "order.cancellation_requested.v1",
    "order.completed.v1",
    "order.failed.v1",
    "order.cancelled.v1",
    "order.closed.v1",
    "credit.reserved.v1",
    "credit.reservation_failed.v1",
    "credit.released.v1",
    "vehicle.reserved.v1",
    "vehicle.reservation_failed.v1",
    "vehicle.sold.v1",
    "vehicle.sale_failed.v1",
    "vehicle.released.v1",
    "payment.code_generated.v1",
    "payment.code_generation_failed.v1",
    "payment.processed.v1",
    "payment.charge_unanswered.v1",
    "payment.failed.v1",
    "payment.expired.v1",
    "payment.voided.v1",
    "payment.refunded.v1",
    "payment.refund_failed.v1",
)
OF_A_PAYOUT = ("payout.completed.v1", "payout.unanswered.v1", "payout.failed.v1")
OF_A_VEHICLE = ("vehicle.listed.v1", "vehicle.updated.v1", "vehicle.withdrawn.v1")
OF_A_CUSTOMER = ("customer.registered.v1", "customer.updated.v1")

BATCH_DELAY = 0.1
"""A timeline may be this late, in seconds, so that it does not slow the purchases it shows."""

SHOWN = frozenset(
    {
        "reason",
        "total_cents",
        "price_cents",
        "amount_cents",
        "customer_id",
        "vehicle_id",
        "seller_id",
        "payment_id",
        "make",
        "model",
        "year",
        "colour",
        "is_sold",
        "changed",
        "expires_at",
    }
)
"""A timeline shows these fields of an event. The payment code is not among them, because it is for
the buyer only.
"""


class Noted(EventData):
    """All fields of the event are kept. The constants above say which are shown."""

    model_config = ConfigDict(extra="allow")

    def details(self) -> dict[str, Any]:
        said = self.model_dump(mode="json")
        return {name: value for name, value in said.items() if name in SHOWN}


class OfPurchase(Noted):
    kind: ClassVar[Kind] = Kind.PURCHASE
    order_id: UUID


class OfPayout(Noted):
    """A payout belongs to a purchase, or was requested by hand and is its own subject."""

    order_id: UUID | None

    @property
    def kind(self) -> Kind:
        return Kind.PURCHASE if self.order_id else Kind.PAYOUT


class OfVehicle(Noted):
    kind: ClassVar[Kind] = Kind.VEHICLE
    vehicle_id: UUID


class OfCustomer(Noted):
    kind: ClassVar[Kind] = Kind.CUSTOMER
    customer_id: UUID


def reactions(
    new_id: IdFactory = uuid7, clock: Clock = utc_now
) -> Reactions[PostgresPortalUnitOfWork]:
    on = Reactions[PostgresPortalUnitOfWork]("portal", extensions=(TENANT,))
    _note(on, OF_A_PURCHASE, OfPurchase)
    _note(on, OF_A_PAYOUT, OfPayout)
    _note(on, OF_A_VEHICLE, OfVehicle)
    _note(on, OF_A_CUSTOMER, OfCustomer)

    # No user may be linked to an erased customer, so this event is never dropped.
    @on.view("customer.erased.v1", OfCustomer, kept=True)
    async def erase_user_when_customer_erased(
        uow: PostgresPortalUnitOfWork, event: Received[OfCustomer]
    ) -> None:
        await note_event(uow, fact=_fact(event))
        customer_id, now = event.data.customer_id, clock()
        await erase_user(
            uow, tenant_id=tenant_of(event), customer_id=customer_id, new_id=new_id, now=now
        )

    return on


def participant() -> Participant:
    return Participant("portal", publishes=(), reactions=reactions())


def _note(on: Reactions[PostgresPortalUnitOfWork], types: Iterable[str], view: type[Noted]) -> None:
    async def note_in_timeline(uow: PostgresPortalUnitOfWork, event: Received[Noted]) -> None:
        await note_event(uow, fact=_fact(event))

    for event_type in types:
        on.view(event_type, view, batch_delay=BATCH_DELAY)(note_in_timeline)


def _fact(event: Received[Any]) -> Fact:
    return Fact(
        event_id=event.id,
        tenant_id=tenant_of(event),
        kind=event.data.kind,
        subject_id=UUID(event.subject),
        service=event.source,
        type=event.type,
        sequence=event.sequence,
        occurred_at=event.time,
        details=event.data.details(),
    )
