"""Events are rows of the caller's transaction, in the order in which they were published."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from libs.messaging.outbox.outbox import MessageTooLarge, Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.schema.tables import messaging_tables
from services.events import PurchaseEvent
from tests.integration.messaging.relaying import install


@dataclass(frozen=True, kw_only=True)
class OrderNoted(PurchaseEvent):
    type: ClassVar[str] = "order.noted.v1"
    note: str


def _noted(order_id: UUID, sequence: int, note: str = "") -> OrderNoted:
    return OrderNoted(tenant_id="default", sequence=sequence, order_id=order_id, note=note)


@pytest.fixture
async def engine(database: str) -> AsyncEngine:
    await install(database)
    return create_async_engine(database)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox("orders", messaging_tables(MetaData()), max_message_bytes=2000)


async def test_events_are_numbered_in_the_order_they_were_published(
    engine: AsyncEngine, outbox: Outbox
) -> None:
    order = uuid4()
    async with engine.begin() as connection:
        await outbox.add(connection, *(_noted(order, n) for n in range(1, 201)))
    async with engine.begin() as connection:
        rows = await connection.execute(
            text("SELECT convert_from(body, 'UTF8')::json ->> 'sequence' FROM outbox ORDER BY seq")
        )
        assert [int(row[0]) for row in rows] == list(range(1, 201))
    await engine.dispose()


async def test_nothing_is_written_when_the_caller_rolls_back(
    engine: AsyncEngine, outbox: Outbox
) -> None:
    async with engine.connect() as connection:
        await outbox.add(connection, _noted(uuid4(), 1))
        await connection.rollback()
        assert await connection.scalar(text("SELECT count(*) FROM outbox")) == 0
    await engine.dispose()


async def test_a_message_over_the_limit_is_refused_before_anything_is_written(
    engine: AsyncEngine, outbox: Outbox
) -> None:
    async with engine.begin() as connection:
        with pytest.raises(MessageTooLarge, match=r"order\.noted\.v1 is \d+ bytes"):
            await outbox.add(connection, _noted(uuid4(), 1), _noted(uuid4(), 1, "x" * 2000))
        assert await connection.scalar(text("SELECT count(*) FROM outbox")) == 0
    await engine.dispose()


async def test_reading_takes_no_transaction_and_leaves_none_behind(
    engine: AsyncEngine, outbox: Outbox
) -> None:
    transactions = Transactions(engine, outbox, UnitOfWork)

    async def times(unit: UnitOfWork) -> set[object]:
        return {await unit.connection.scalar(text("SELECT now()")) for _ in range(2)}

    assert len(await transactions.read(times)) == 2, "each statement is a transaction by itself"
    assert len(await transactions.run(times)) == 1, "the same connection, in a transaction"
    await engine.dispose()


async def test_an_event_published_while_only_reading_is_an_error(
    engine: AsyncEngine, outbox: Outbox
) -> None:
    async def state_one(unit: UnitOfWork) -> None:
        unit.publish(_noted(uuid4(), 1))

    with pytest.raises(RuntimeError, match="use `run`"):
        await Transactions(engine, outbox, UnitOfWork).read(state_one)
    await engine.dispose()


async def test_a_row_names_the_service_that_publishes_it(engine: AsyncEngine) -> None:
    """Two participants write into one outbox; the default belongs to neither."""
    tables = messaging_tables(MetaData())
    async with engine.begin() as connection:
        for service in ("orders", "mailer"):
            await Outbox(service, tables).add(connection, _noted(uuid4(), 1))
        rows = await connection.execute(text("SELECT source FROM outbox ORDER BY seq"))
        assert rows.scalars().all() == ["orders", "mailer"]
    await engine.dispose()


def test_a_schema_in_the_metadata_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="needs a MetaData without a schema, not 'shop'"):
        messaging_tables(MetaData(schema="shop"))
