"""Transactions of the database in memory commit whole or not at all."""

from contextlib import suppress
from typing import Any

import pytest

from services.orders.domain.events import OrderFailed
from tests.simulation.database import Database, Fault
from tests.simulation.world import World


@pytest.fixture
def world() -> World:
    return World()


async def _work(unit: Any) -> None:
    """Change a table, and publish an event of it."""
    unit.connection.table("orders")["a"] = "b"
    what: dict[str, Any] = dict.fromkeys(("customer_id", "vehicle_id", "order_id"), None)
    unit.publish(
        OrderFailed(tenant_id="t", sequence=1, total_cents=1, reason=None, **what),
    )


def _committed(world: World) -> tuple[int, int]:
    tables = world.services["orders"].database.tables
    return len(tables.get("orders", {})), len(tables.get("outbox", {}))


def test_work_and_its_events_commit_together(world: World) -> None:
    world.do("orders", _work)
    assert _committed(world) == (1, 1)


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.LOST_BEFORE])
def test_work_that_fails_before_its_commit_leaves_nothing(world: World, fault: Fault) -> None:
    world.do("orders", _work, fault)
    assert _committed(world) == (0, 0)


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.LOST_AFTER, Fault.DEADLOCK])
def test_work_that_fails_after_its_commit_or_is_done_again_is_there_once(
    world: World, fault: Fault
) -> None:
    world.do("orders", _work, fault)
    assert _committed(world) == (1, 1)


async def test_work_that_raises_is_rolled_back() -> None:
    database = Database({"rows": {1: "before"}})
    with suppress(ZeroDivisionError):
        async with database.begin() as connection:
            connection.table("rows")[1] = "after"
            raise ZeroDivisionError
    assert database.table("rows") == {1: "before"}
