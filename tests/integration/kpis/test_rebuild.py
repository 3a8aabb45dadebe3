"""The read model can be rebuilt from the facts, also while events arrive."""

import asyncio
import os
import sys

import pytest

from libs.kernel.ids import uuid7
from services.kpis.application.rebuild_read_model import rebuild_read_model
from services.kpis.infrastructure.postgres import PostgresKpisUnitOfWork
from tests.fixtures.polling import eventually
from tests.integration.kpis.conftest import Kpis


async def execute(kpis: Kpis, statement: str) -> None:
    await kpis.client.execute(statement, tenant=kpis.tenant)


async def test_rebuilding_mends_what_was_spoilt_lost_or_made_up(kpis: Kpis) -> None:
    orders = [uuid7() for _ in range(7)]
    for order in orders:
        await kpis.completed(order, 10)
    await kpis.cancelled(orders[0], 10)
    await kpis.closed(orders[1], 10)
    ours = " WHERE tenant_id = :tenant"
    await execute(kpis, f"UPDATE purchases SET amount_cents = 99, outcome = 'failed'{ours}")
    await execute(kpis, f"DELETE FROM payouts{ours}")
    await execute(
        kpis,
        "INSERT INTO purchases (subject, tenant_id, amount_cents, sold_at, sold_month)"
        " VALUES (gen_random_uuid(), :tenant, 5, now(), '2026-11')",
    )

    await rebuild_read_model(kpis.service.transactions, at_once=3)

    assert (await kpis.value("monthly_sales"))["value"] == 60
    assert await kpis.rows("payouts_due") == [["due", 1, 10]]


async def test_nothing_consumed_while_it_rebuilds_is_lost_or_counted_twice(kpis: Kpis) -> None:
    orders = [uuid7() for _ in range(40)]
    for order in orders[:20]:
        await kpis.completed(order, 1)
    done = asyncio.Event()

    async def keep_rebuilding() -> int:
        rounds = 0
        while not done.is_set():
            await rebuild_read_model(kpis.service.transactions, at_once=5)
            rounds += 1
        return rounds

    rebuilding = asyncio.create_task(keep_rebuilding())
    for order in orders[20:]:
        await asyncio.gather(kpis.completed(order, 1), kpis.closed(order, 1))
    for order in orders[::4]:
        await kpis.cancelled(order, 1)
    done.set()

    assert await rebuilding >= 1
    assert (await kpis.value("monthly_sales"))["value"] == 30
    assert await kpis.rows("payouts_due") == [["due", 20, 20]]


async def test_reaction_in_the_middle_of_a_batch_waits_and_is_added(kpis: Kpis) -> None:
    """The event comes after the rebuild has deleted the purchase's row and read its facts."""
    order = uuid7()
    await kpis.completed(order, 8)
    async with kpis.service.transactions.engine.begin() as connection:
        batch = kpis.service.transactions._unit_of_work(
            connection, kpis.service.transactions.outbox
        )
        await batch.read_model.forget([order])
        facts = await batch.facts.of([order])
        cancelling = asyncio.create_task(kpis.cancelled(order, 8))
        await somebody_waits(kpis)
        await batch.read_model.fold(facts)
    await cancelling

    assert (await kpis.value("monthly_sales"))["value"] is None
    assert await kpis.asked("SELECT outcome FROM purchases") == [["cancelled"]]


async def test_batch_in_the_middle_of_a_reaction_waits_and_sees_its_fact(kpis: Kpis) -> None:
    """The reaction has changed the purchase's row and not committed when the rebuild begins."""
    order = uuid7()
    await kpis.completed(order, 8)
    rebuilding: list[asyncio.Task[int]] = []
    changed = PostgresKpisUnitOfWork.flush

    async def flush(uow: PostgresKpisUnitOfWork) -> None:
        await changed(uow)
        if uow.facts.added:
            rebuilding.append(asyncio.create_task(rebuild_read_model(kpis.service.transactions)))
            await somebody_waits(kpis)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresKpisUnitOfWork, "flush", flush)
        await kpis.cancelled(order, 8)
    await asyncio.gather(*rebuilding)

    assert await kpis.asked("SELECT outcome FROM purchases") == [["cancelled"]]


async def somebody_waits(kpis: Kpis) -> None:
    await eventually(kpis.client.somebody_waits_for_a_lock)


@pytest.mark.slow
async def test_command_says_in_one_line_what_it_did(kpis: Kpis) -> None:
    await kpis.completed(uuid7(), 10)
    environment = {
        **os.environ,
        "DATABASE_URL": kpis.database.url("app"),
        "READER_DATABASE_URL": kpis.database.url("reader"),
        "RABBITMQ_URL": "amqp://nobody@localhost/",
    }

    async def run(**changed: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.kpis.rebuild",
            env=environment | changed,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    code, output = await run()
    assert code == 0, output
    assert output.startswith("folded the facts about ")
    assert await run(DATABASE_URL="") == (
        2,
        "error: DATABASE_URL: not set, and neither is"
        " POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB\n",
    )
