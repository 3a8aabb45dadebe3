"""Every kind of purchase through the HTTP entrypoints of the running system."""

import pytest

from deploy.local.market import Market
from deploy.local.scenarios import SCENARIOS, Scenario
from deploy.local.timeline import events_of
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = pytest.mark.xdist_group("system")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.title)
async def test_a_purchase_ends_as_it_should(
    scenario: Scenario, system: System, market: Market
) -> None:
    order_ids, _ = await scenario.play(market)

    await invariants_hold(system)
    for order_id in order_ids:
        timeline = await events_of(system.databases, [order_id])
        assert timeline[0].event_type == "order.confirmed.v1"
