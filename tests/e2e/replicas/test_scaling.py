"""Replicas are added and removed while purchases run: no request is refused, and no
effect is lost or doubled.
"""

from functools import partial

import pytest

from deploy.services import SERVICES
from tests.e2e.replicas.load import BUYERS, flow, purchases, refusals
from tests.e2e.replicas.system import Replicated
from tests.e2e.system import kill

MOST_IN_FLIGHT = 2 * BUYERS
"""A buyer pays and cancels at the same time, so each has two requests in flight."""

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(400)]


async def test_no_purchase_notices_that_replicas_are_added_and_taken_away(
    three: Replicated,
) -> None:
    before = len(refusals(three))
    async with purchases(three, seed=1) as buyers:
        for spec in SERVICES:
            await three.aside(partial(three.add, three.one_of_each(spec.name)))
            await flow(buyers, 1)
        for spec in SERVICES:
            await three.aside(partial(three.take_away, three.oldest(spec.name)))
            await flow(buyers, 1)
    assert refusals(three)[before:] == []
    assert buyers.in_vain.total() == 0


async def test_a_killed_replica_fails_only_the_requests_it_was_answering(
    three: Replicated,
) -> None:
    before = len(refusals(three))
    killed = []
    async with purchases(three, seed=2) as buyers:
        for role in three.roles("orders"):
            await flow(buyers, 2)
            killed.append(three.of("orders", role)[0])
            await three.aside(partial(kill, three.children, killed[-1].name))
        await flow(buyers, 3)
        for each in killed:
            three.forget(each)
        await three.aside(partial(three.add, [("orders", each.role) for each in killed]))
    asked = {f"from {each.port} " for each in killed}
    refused = refusals(three)[before:]
    assert [line for line in refused if not any(each in line for each in asked)] == []
    assert len(refused) <= MOST_IN_FLIGHT
