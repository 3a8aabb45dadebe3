"""Makes a small choreography to try the library on: a shop, and the credit that it needs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Uuid, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.envelope import EventData, Received, encode
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from libs.messaging.schema.migrations import install, upgrade
from libs.messaging.schema.tables import messaging_tables
from services.events import TENANT, PurchaseEvent, tenant_of

METADATA = MetaData()
TABLES = messaging_tables(METADATA)
RESERVATIONS = Table(
    "reservations",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("order_id", Uuid, nullable=False),
    Column("total_cents", BigInteger, nullable=False),
)
QUEUE = "credit.on.order.placed.v1"


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(PurchaseEvent):
    type: ClassVar[str] = "order.placed.v1"
    total_cents: int


@dataclass(frozen=True, kw_only=True)
class CreditReserved(PurchaseEvent):
    type: ClassVar[str] = "credit.reserved.v1"
    total_cents: int


class OrderPlacedView(EventData):
    order_id: UUID
    total_cents: int


class CreditUnitOfWork(UnitOfWork):
    async def reserve(self, order_id: UUID, total_cents: int) -> None:
        await self.connection.execute(
            insert(RESERVATIONS), {"order_id": order_id, "total_cents": total_cents}
        )


Reaction = Callable[[CreditUnitOfWork, Received[OrderPlacedView]], Awaitable[None]]


async def reserve_credit(unit: CreditUnitOfWork, event: Received[OrderPlacedView]) -> None:
    await unit.reserve(event.data.order_id, event.data.total_cents)
    unit.publish(
        CreditReserved(
            tenant_id=tenant_of(event),
            sequence=1,
            order_id=event.data.order_id,
            total_cents=event.data.total_cents,
        )
    )


def shop() -> Participant:
    return Participant("shop", publishes=(OrderPlaced,), reactions=Reactions("shop"))


def credit(reaction: Reaction = reserve_credit, *, batch_delay: float = 0.0) -> Participant:
    on = Reactions[CreditUnitOfWork]("credit", extensions=(TENANT,))
    on.view("order.placed.v1", OrderPlacedView, batch_delay=batch_delay)(reaction)
    return Participant(
        "credit",
        publishes=(CreditReserved,),
        reactions=on,
        unconsumed=frozenset({CreditReserved.type}),
    )


def transactions(engine: AsyncEngine) -> Transactions[CreditUnitOfWork]:
    return Transactions(engine, Outbox("credit", TABLES), CreditUnitOfWork)


async def create_tables(engine: AsyncEngine) -> None:
    """Make the library's tables as its migration makes them, and the sample's own."""

    def create(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        install(operations)
        upgrade(operations)
        RESERVATIONS.create(connection)

    async with engine.begin() as connection:
        await connection.run_sync(create)


def order_placed(order_id: UUID | None = None, total_cents: int = 100) -> OrderPlaced:
    return OrderPlaced(
        tenant_id="default", sequence=1, order_id=order_id or uuid7(), total_cents=total_cents
    )


def on_the_wire(
    event: OrderPlaced, event_id: UUID | None = None, time: datetime | None = None
) -> bytes:
    """Return the event as the shop's relay would send it."""
    return encode(
        event,
        event_id=event_id or uuid7(),
        source="shop",
        time=time or utc_now(),
        cause=None,
        traceparent=None,
    )
