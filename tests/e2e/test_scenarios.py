"""Every kind of purchase ends correctly over HTTP in the running system."""

import pytest

from deploy.demo.market import Market
from deploy.demo.scenarios import SCENARIOS, Scenario, bought_and_picked_up
from deploy.demo.timeline import events_of
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.title)
async def test_a_purchase_ends_as_it_should(
    scenario: Scenario, system: System, market: Market
) -> None:
    order_ids, _ = await scenario.play(market)

    await invariants_hold(system)
    for order_id in order_ids:
        timeline = await events_of(system.databases, [order_id])
        assert timeline[0].event_type == "order.confirmed.v1"


async def test_the_timeline_of_a_picked_up_vehicle_ends_with_its_seller_paid(
    system: System, market: Market
) -> None:
    order_ids, _ = await bought_and_picked_up(market)

    timeline = await events_of(system.databases, order_ids)
    assert [event.event_type for event in timeline[-2:]] == [
        "order.closed.v1",
        "payout.completed.v1",
    ]
    history = (await market.state(order_ids[0]))["history"]
    assert history[-1]["type"] in {"order.closed.v1", "payout.completed.v1"}
