"""Sales go on while kpis consumes nothing for longer than its queues can hold, and a replay
completes its figures.
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from deploy.checker.invariants import ARRIVED, check
from deploy.checker.missed_events import replay_missed
from deploy.checker.queues import read_queues
from deploy.demo.market import Market
from deploy.demo.scenarios import PRICE, bought_and_picked_up, cancelled_after_paying
from deploy.installation import ADMINISTRATOR, VHOST
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System
from tests.e2e.test_kpis import cancellations, figure
from tests.fixtures.polling import eventually

PARTICIPANTS = read(CHOREOGRAPHY).participants


@pytest.fixture
async def small_queues(system: System) -> AsyncIterator[None]:
    """Give the queues of kpis room for one event each, by a policy that overrides the usual one."""
    path = f"/api/policies/{VHOST}/small"
    definition = {"max-length-bytes": 1_000, "overflow": "drop-head"}
    small = {"pattern": r"^kpis\.on\.", "definition": definition, "priority": 99}
    async with httpx.AsyncClient(base_url=system.installation.management_url) as broker:
        (await broker.put(path, json=small)).raise_for_status()
        yield
        (await broker.delete(path)).raise_for_status()


@pytest.mark.usefixtures("small_queues")
async def test_sales_go_on_without_the_figures_which_are_complete_after_a_replay(
    system: System, market: Market
) -> None:
    await invariants_hold(system)
    sales = (await figure(market, "monthly_sales"))["value"] or 0
    came_back = await cancellations(market)

    system.kill("kpis")
    for _ in range(3):
        await bought_and_picked_up(market)
    await cancelled_after_paying(market)
    system.start_again("kpis")

    async def said() -> bool:
        url = system.installation.broker_url(ADMINISTRATOR)
        queues = await read_queues(url, PARTICIPANTS)
        return "kpis" in queues.dropped and not queues.waiting

    await eventually(said)
    report = await check(system.databases, PARTICIPANTS, grace_seconds=0)
    [arrived] = [each for each in report.invariants if each.rule == ARRIVED]
    assert {sentence.partition(".on.")[0] for sentence in arrived.broken} == {"kpis"}
    assert (await figure(market, "monthly_sales"))["value"] != sales + 3 * PRICE

    assert await replay_missed(system.installation, "kpis") == arrived.count

    await invariants_hold(system)
    assert (await figure(market, "monthly_sales"))["value"] == sales + 3 * PRICE
    assert await cancellations(market) == came_back + 1
    assert not (
        await read_queues(system.installation.broker_url(ADMINISTRATOR), PARTICIPANTS)
    ).dropped
