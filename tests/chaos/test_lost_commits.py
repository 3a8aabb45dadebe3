"""A failover with asynchronous replication loses the last commits; the checker
reports them and commands repair them.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import asyncpg
import httpx
import pytest

from deploy.checker.invariants import ARRIVED, check
from deploy.checker.verify import databases
from deploy.cluster.plan import DATABASES
from deploy.cluster.recovery import recover
from deploy.cluster.system import NETWORK_IS_PRIVATE, check_programs
from deploy.demo.market import Market
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY
from deploy.servers.processes import StartFailed
from libs.messaging.saga.choreography import read
from tests.chaos.cluster_parts import Act, ClusterParts, Part, running_cluster
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

CUSTOMERS = ("customers all", "customers worker")
"""The processes that consume the events of customers."""
BELONGS = "every record belongs to a purchase of its tenant"
PRICE = 3_000_000


async def test_the_losses_of_an_asynchronous_failover_are_named_and_mended() -> None:
    """The first purchase is lost in every database. Orders alone knows the second, because the
    message to customers was acknowledged. The third one's message comes to customers after its
    order is lost.
    """
    try:
        check_programs()
    except StartFailed as error:
        pytest.skip(str(error))
    os.environ.update(NETWORK_IS_PRIVATE)
    async with running_cluster("asynchronous", 1) as parts:
        market = Market(parts.cluster.installation.services, timeout=60)
        try:
            await _lose(parts, market)
        finally:
            await market.close()


async def _lose(parts: ClusterParts, market: Market) -> None:
    customer = await market.register_customer(credit_limit_cents=10 * PRICE)
    vehicles = [await market.list_vehicle(price_cents=PRICE) for _ in range(3)]
    unconsumed, gone, orphan = await _buy_and_lose(parts, market, customer, vehicles)

    assert (await market.state(unconsumed))["state"] != "AWAITING_PAYMENT"
    for lost in (gone, orphan):
        with pytest.raises(httpx.HTTPStatusError, match="answered 404"):
            await market.state(lost)
    await eventually(partial(_names, parts, BELONGS, f"order {orphan}: known to customers"))
    await eventually(partial(_names, parts, ARRIVED, "never handled 1 events"))

    held: list[bool] = []
    await parts.aside(lambda: held.append(recover(parts.cluster)))

    assert held == [True]
    assert (await market.state(orphan))["reason"] == "purchase_lost"
    for vehicle in vehicles:  # no service holds anything for a lost purchase
        order = await market.buy(customer, vehicle, PRICE)
        await market.reach(order, "AWAITING_PAYMENT")


async def _buy_and_lose(
    parts: ClusterParts, market: Market, customer: UUID, vehicles: Sequence[UUID]
) -> list[UUID]:
    _each(parts, Act.FREEZE, CUSTOMERS)
    orders = [await market.buy(customer, vehicles[0], PRICE)]
    await eventually(partial(_standbys_have_all, parts))
    with _standbys_behind(parts):
        _each(parts, None, CUSTOMERS)
        await market.reach(orders[0], "AWAITING_PAYMENT")
        orders.append(await market.buy(customer, vehicles[1], PRICE))
        await market.reach(orders[1], "AWAITING_PAYMENT")
        _each(parts, Act.FREEZE, CUSTOMERS)
        orders.append(await market.buy(customer, vehicles[2], PRICE))
        await eventually(partial(_nothing_to_publish, parts))
        primary = await asyncio.to_thread(parts.target, Part.PRIMARY)
        await parts.aside(partial(parts.breaks, Act.KILL, primary))
    await eventually(partial(asyncio.to_thread, parts.cluster.databases.primary), timeout=90)
    _each(parts, None, CUSTOMERS)
    await parts.aside(partial(parts.repair, Act.KILL, primary))
    await eventually(partial(asyncio.to_thread, parts.is_whole), timeout=180)
    return orders


def _each(parts: ClusterParts, act: Act | None, names: Sequence[str]) -> None:
    """Freeze the processes, or let them continue."""
    for name in names:
        if act is None:
            parts.repair(Act.FREEZE, name)
        else:
            parts.breaks(act, name)


async def _standbys_have_all(parts: ClusterParts) -> bool:
    connection = await asyncpg.connect(parts.cluster.installation.superuser_url)
    try:
        statement = """
            SELECT count(*) = 2 FROM pg_stat_replication
             WHERE replay_lsn >= pg_current_wal_lsn()"""
        return bool(await connection.fetchval(statement))
    finally:
        await connection.close()


async def _nothing_to_publish(parts: ClusterParts) -> bool:
    url = databases(parts.cluster.installation)["orders"]
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT count(*) = 0 FROM outbox"))
    finally:
        await connection.close()


@contextmanager
def _standbys_behind(parts: ClusterParts) -> Iterator[None]:
    """Let standbys receive nothing in this block. Afterwards what reached them is lost too."""
    primary = parts.cluster.databases.primary()
    receivers = [
        process
        for name in DATABASES
        if name != primary
        for process in parts.cluster.databases.processes(name)
        if "walreceiver" in " ".join(process.cmdline())
    ]
    assert len(receivers) == len(DATABASES) - 1
    for each in receivers:
        each.suspend()
    try:
        yield
    finally:
        for each in receivers:
            each.kill()


async def _names(parts: ClusterParts, rule: str, sentence: str) -> bool:
    report = await check(
        databases(parts.cluster.installation),
        read(CHOREOGRAPHY).participants,
        rabbitmq_url=parts.cluster.installation.broker_url(ADMINISTRATOR),
        grace_seconds=0,
    )
    [found] = [each for each in report.invariants if each.rule == rule]
    return any(sentence in each for each in found.broken)
