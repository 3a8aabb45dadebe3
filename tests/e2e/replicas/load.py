"""Runs purchases of every outcome while replicas are added and removed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.demo.market import FINAL_STATES
from tests.chaos.cluster_run import ClusterBuyers
from tests.chaos.ends import outcomes, what_is_left
from tests.e2e.quiet import invariants_hold
from tests.e2e.replicas.system import Replicated
from tests.fixtures.polling import eventually

BUYERS = 2
AT_REST_WITHIN = 120.0


@asynccontextmanager
async def purchases(
    system: Replicated, seed: int, *, at_once: int = BUYERS
) -> AsyncIterator[ClusterBuyers]:
    """Run purchases as long as this block. After it each has ended, and every invariant holds."""
    market, over = system.market(), asyncio.Event()
    buyers = ClusterBuyers(market, seed)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(buyers.shop(at_once, over))
            try:
                yield buyers
            finally:
                over.set()
    finally:
        await market.close()

    async def at_rest() -> bool:
        left = await what_is_left(system.databases)
        assert not left, dict(left)
        return True

    await eventually(at_rest, timeout=AT_REST_WITHIN)
    ended = await outcomes(system.databases, buyers.accepted)
    assert set(ended) <= FINAL_STATES, dict(ended)
    assert buyers.wrong == []
    await invariants_hold(system)


async def flow(buyers: ClusterBuyers, more: int) -> None:
    """Wait until `more` more purchases were accepted."""
    wanted = len(buyers.accepted) + more

    async def accepted() -> bool:
        return len(buyers.accepted) >= wanted

    await eventually(accepted, timeout=90)


def refusals(system: Replicated) -> list[str]:
    """Return the requests that got a server's error, with the port of the process."""
    return [
        f"{each.status} from {each.port} to {each.asked}"
        for each in system.front.answers()
        if each.status >= 499  # 499: the client closed the connection
    ]
