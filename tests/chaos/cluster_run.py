"""Runs load on a cluster, breaks one part after the other, measures the time until purchases flow
again after each fault, and checks the invariants at the end.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import httpx

from deploy.checker.invariants import check
from deploy.checker.report import Report
from deploy.checker.verify import databases
from deploy.cluster.databases import Replication
from deploy.cluster.recovery import recover
from deploy.cluster.system import NETWORK_IS_PRIVATE, Cluster
from deploy.demo.market import FINAL_STATES, Market
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY
from libs.messaging.saga.choreography import read
from tests.chaos.buyers import Buyers
from tests.chaos.cluster_parts import (
    WHOLE_WITHIN,
    WITHOUT_REFUSAL,
    ClusterFault,
    ClusterParts,
    running_cluster,
    turns,
)
from tests.chaos.ends import LOST, outcomes, what_is_left

BUYERS = 3
REQUEST_SECONDS = 5.0
PROBE_EVERY = 0.5
FLOWS_WITHIN = 120.0
COMES_TO_REST_WITHIN = 240.0
PROXY_ERRORS = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


@dataclass(frozen=True)
class Recovery:
    """A `Recovery` took `seconds` from the fault until a new purchase had passed through all
    services while the part was still broken, or None if none did. `refused` are the requests that
    had no answer, or not one of success, meanwhile.
    """

    fault: ClusterFault
    target: str
    seconds: float | None
    refused: int

    @property
    def harm(self) -> str | None:
        if self.seconds is None:
            return f"{self.fault} ({self.target}): purchases did not flow again"
        if self.fault.bound is not None and self.seconds > self.fault.bound:
            took = f"{self.seconds:.1f} s, more than {self.fault.bound:g} s"
            return f"{self.fault} ({self.target}): purchases flowed again after {took}"
        if self.refused and self.fault.part in WITHOUT_REFUSAL:
            return f"{self.fault} ({self.target}): {self.refused} requests in vain"
        return None


@dataclass(frozen=True)
class ClusterResult:
    """`harm` are sentences about what went wrong apart from the invariants."""

    seed: int
    replication: Replication
    recoveries: Sequence[Recovery]
    accepted: int
    ended: Counter[str]
    in_vain: Counter[str]
    report: Report
    harm: Sequence[str]

    @property
    def well(self) -> bool:
        return self.report.hold and not self.harm


class ClusterBuyers(Buyers):
    """`ClusterBuyers` expect that nginx may answer that the process it asked has ended."""

    async def come_to_the_code(self) -> bool:
        """Return whether a new purchase gets its payment code. Then orders, customers, vehicles and
        payments have all done their part.
        """
        try:
            return await self._code(await self._order()) is not None
        except Exception as error:  # no buyer should meet any error
            self.wrong.append(f"on the way to the code: {type(error).__name__} {error}")
            return False

    def _note(self, error: Exception) -> None:
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in PROXY_ERRORS:
            self.in_vain["no answer"] += 1
            return
        super()._note(error)


async def run(
    seed: int,
    seconds: float,
    tell: Callable[[str], None],
    *,
    replication: Replication = "synchronous",
    most: int | None = None,
) -> ClusterResult:
    """Start a cluster, run the load and as many faults as begin within `seconds`, but no more than
    `most`, and stop it. Raises StartFailed if the cluster does not start.
    """
    os.environ.update(NETWORK_IS_PRIVATE)
    tell(f"seed {seed}, {replication} replication: starting the cluster")
    async with running_cluster(replication, seed) as parts:
        installation = parts.cluster.installation
        market = Market(installation.services, timeout=REQUEST_SECONDS)
        buyers = ClusterBuyers(market, seed)
        found = databases(installation)
        try:
            recoveries, harm = await _under_load(parts, buyers, seed, seconds, most, tell)
            tell("the buyers are done; waiting until nothing is left to do")
            left = await _until_nothing_is_left(found)
            report = await _until_it_holds(parts)
            if replication == "asynchronous" and not report.hold:
                tell("a failover has lost commits:")
                for each in report.invariants:
                    for broken in each.broken:
                        tell(f"  {broken}")
                await parts.aside(lambda: _recover(parts.cluster))
                report = await _until_it_holds(parts)
            ended = await outcomes(found, buyers.accepted)
        finally:
            await market.close()
        may_end = FINAL_STATES | ({LOST} if replication == "asynchronous" else set())
        no_end = {state: number for state, number in ended.items() if state not in may_end}
        harm += [f"{what}: {number} not done" for what, number in left.items()]
        harm += [f"{number} accepted purchases are {state}" for state, number in no_end.items()]
        harm += [sentence for each in recoveries if (sentence := each.harm)]
        harm += buyers.wrong
        result = ClusterResult(
            seed,
            replication,
            recoveries,
            len(buyers.accepted),
            ended,
            buyers.in_vain,
            report,
            harm,
        )
        if not result.well:
            tell(f"the logs are in {parts.keep_logs()}")
    return result


async def _under_load(
    parts: ClusterParts,
    buyers: ClusterBuyers,
    seed: int,
    seconds: float,
    most: int | None,
    tell: Callable[[str], None],
) -> tuple[list[Recovery], list[str]]:
    over, started = asyncio.Event(), time.monotonic()
    recoveries: list[Recovery] = []
    harm: list[str] = []

    def timed(sentence: str) -> None:
        tell(f"{time.monotonic() - started:6.1f} s  {sentence}")

    async with asyncio.TaskGroup() as tasks:
        probe = Probe(buyers, tasks)
        tasks.create_task(buyers.shop(BUYERS, over))
        try:
            if not await probe.flows():
                harm.append("no purchase came to its code before the first fault")
            for fault in turns(seed):
                if harm or time.monotonic() - started > seconds or len(recoveries) == most:
                    break
                recovery = await _suffer(parts, probe, fault, timed)
                recoveries.append(recovery)
                if missing := await _until_whole(parts):
                    what = ", ".join(missing)
                    harm.append(f"{fault} ({recovery.target}): does not work again: {what}")
                else:
                    timed("  the cluster is whole again")
        finally:
            over.set()
    return recoveries, harm


class Probe:
    """A `Probe` begins a purchase twice a second until one has passed through all services. The
    others go on, and count at the end like all.
    """

    def __init__(self, buyers: ClusterBuyers, tasks: asyncio.TaskGroup) -> None:
        self.buyers = buyers
        self._tasks = tasks

    async def flows(self) -> bool:
        """Return whether a purchase that begins from now on passes through all services."""
        begun: list[asyncio.Task[bool]] = []
        deadline = time.monotonic() + FLOWS_WITHIN
        while time.monotonic() < deadline:
            begun.append(self._tasks.create_task(self.buyers.come_to_the_code()))
            await asyncio.wait(begun, timeout=PROBE_EVERY, return_when=asyncio.FIRST_COMPLETED)
            if any(each.result() for each in begun if each.done()):
                return True
            begun = [each for each in begun if not each.done()]
        return False


async def _suffer(
    parts: ClusterParts, probe: Probe, fault: ClusterFault, tell: Callable[[str], None]
) -> Recovery:
    target = await asyncio.to_thread(parts.target, fault.part)
    tell(f"{fault}: {target}")
    in_vain = probe.buyers.in_vain
    before = in_vain.total()
    started = time.monotonic()
    await parts.aside(partial(parts.breaks, fault.act, target))
    flows = await probe.flows()
    seconds = time.monotonic() - started if flows else None
    refused = in_vain.total() - before
    how = "purchases do not flow" if seconds is None else f"purchases flow after {seconds:.1f} s"
    tell(f"  {how}, {refused} requests in vain; repairing it")
    await parts.aside(partial(parts.repair, fault.act, target))
    return Recovery(fault, target, seconds, refused)


async def _until_whole(parts: ClusterParts) -> list[str]:
    """Return the parts that do not work within WHOLE_WITHIN seconds."""
    deadline = time.monotonic() + WHOLE_WITHIN
    while True:
        missing = await asyncio.to_thread(parts.missing)
        if not missing or time.monotonic() > deadline:
            return missing
        await asyncio.sleep(0.5)


async def _until_nothing_is_left(found: Mapping[str, str]) -> Counter[str]:
    deadline = time.monotonic() + COMES_TO_REST_WITHIN
    while True:
        left = await what_is_left(found)
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.2)


def _recover(cluster: Cluster) -> None:
    recover(cluster)


async def _until_it_holds(parts: ClusterParts) -> Report:
    """Check the invariants until they hold, for 60 s at most: views may be a moment behind."""
    participants, deadline = read(CHOREOGRAPHY).participants, time.monotonic() + 60
    while True:
        report = await check(
            databases(parts.cluster.installation),
            participants,
            rabbitmq_url=parts.cluster.installation.broker_url(ADMINISTRATOR),
            grace_seconds=0,
        )
        if report.hold or time.monotonic() > deadline:
            return report
        await asyncio.sleep(0.5)
