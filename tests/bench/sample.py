"""Makes the reaction that is measured: an inbox, two writes and one event."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Uuid, insert, update
from sqlalchemy.ext.asyncio import create_async_engine

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.envelope import EventData, Received, encode
from libs.messaging.outbox.unit_of_work import UnitOfWork
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
    Column("order_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, nullable=False),
    Column("total_cents", BigInteger, nullable=False),
)
CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("reserved_cents", BigInteger, nullable=False),
)
CUSTOMER_IDS = [UUID(int=n) for n in range(200)]
QUEUE = "credit.on.order.placed.v1"


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(PurchaseEvent):
    type: ClassVar[str] = "order.placed.v1"
    customer_id: UUID
    total_cents: int


@dataclass(frozen=True, kw_only=True)
class CreditReserved(PurchaseEvent):
    type: ClassVar[str] = "credit.reserved.v1"
    total_cents: int


class Placed(EventData):
    order_id: UUID
    customer_id: UUID
    total_cents: int


async def reserve_credit_when_order_placed(unit: UnitOfWork, event: Received[Placed]) -> None:
    order = event.data
    await unit.connection.execute(insert(RESERVATIONS), order.model_dump())
    await unit.connection.execute(
        update(CUSTOMERS)
        .where(CUSTOMERS.c.id == order.customer_id)
        .values(reserved_cents=CUSTOMERS.c.reserved_cents + order.total_cents)
    )
    unit.publish(reserved(event))


def reserved(event: Received[Placed]) -> CreditReserved:
    return CreditReserved(
        tenant_id=tenant_of(event),
        sequence=1,
        order_id=event.data.order_id,
        total_cents=event.data.total_cents,
    )


def shop() -> Participant:
    return Participant("shop", publishes=(OrderPlaced,), reactions=Reactions("shop"))


def credit() -> Participant:
    on = Reactions[UnitOfWork]("credit", extensions=(TENANT,))
    on.view(OrderPlaced.type, Placed)(reserve_credit_when_order_placed)
    return Participant(
        "credit",
        publishes=(CreditReserved,),
        reactions=on,
        unconsumed=frozenset({CreditReserved.type}),
    )


def placed(number: int) -> OrderPlaced:
    return OrderPlaced(
        tenant_id="default",
        sequence=1,
        order_id=uuid7(),
        customer_id=CUSTOMER_IDS[number % len(CUSTOMER_IDS)],
        total_cents=100,
    )


def on_the_wire(event: OrderPlaced) -> bytes:
    return encode(
        event, event_id=uuid7(), source="shop", time=utc_now(), cause=None, traceparent=None
    )


async def create_tables(database_url: str) -> None:
    """Make the library's tables, the sample's own, and its customers, in an empty database."""

    def create(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        install(operations)
        upgrade(operations)
        METADATA.create_all(connection, tables=[RESERVATIONS, CUSTOMERS])
        customers = [{"id": identifier, "reserved_cents": 0} for identifier in CUSTOMER_IDS]
        connection.execute(insert(CUSTOMERS), customers)

    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(create)
    await engine.dispose()
