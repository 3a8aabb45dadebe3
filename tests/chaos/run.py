"""Runs load and the faults of a schedule, waits for the recovery, and checks the invariants."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.checker.invariants import check
from deploy.checker.report import Report
from deploy.demo.market import FINAL_STATES
from deploy.installation import ADMINISTRATOR
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from tests.chaos.buyers import Buyers
from tests.chaos.ends import outcomes, what_is_left
from tests.chaos.parts import Parts, running_parts
from tests.chaos.schedule import Fault, schedule

BUYERS = 20
REQUEST_SECONDS = 5.0
RECOVERS_WITHIN = 180.0
TELL_EVERY = 5.0


@dataclass(frozen=True)
class Result:
    """A `Result` has in `recovery` the seconds from the last repair until every outbox is empty and
    every purchase, refund and payout is finished, or None if that is not reached. `harm` are
    sentences about what went wrong apart from the invariants.
    """

    seed: int
    faults: Sequence[Fault]
    accepted: int
    ended: Counter[str]
    injected: Counter[str]
    in_vain: Counter[str]
    recovery: float | None
    report: Report
    harm: Sequence[str]

    @property
    def well(self) -> bool:
        return self.report.hold and not self.harm


async def run(seed: int, seconds: float, tell: Callable[[str], None]) -> Result:
    """Start a system, run the load and the faults on it, and stop it."""
    faults = schedule(seed, seconds)
    tell(f"seed {seed}: {len(faults)} faults in {seconds:g} s; starting the system")
    async with running_parts() as parts:
        market = parts.market(timeout=REQUEST_SECONDS)
        buyers = Buyers(market, seed)
        try:
            repaired = await _under_load(parts, buyers, faults, seconds, tell)
            tell("the buyers are done; waiting until nothing is left to do")
            left = await _until_nothing_is_left(parts, tell)
            recovery = None if left else time.monotonic() - repaired
            report = await _until_it_holds(parts)
        finally:
            await market.close()
        ended = await outcomes(parts.databases, buyers.accepted)
        harm = [
            *(f"{what}: {number} not done" for what, number in left.items()),
            *(f"{number} accepted purchases are {end}" for end, number in _no_ends(ended).items()),
            *parts.given_up,
            *(f"{name} ended of its own" for name in parts.ended_of_their_own()),
            *buyers.wrong,
        ]
        result = Result(
            seed,
            faults,
            len(buyers.accepted),
            ended,
            parts.injected,
            buyers.in_vain,
            recovery,
            report,
            harm,
        )
        if not result.well:
            kept = parts.keep_logs()
            tell(f"the logs are in {kept}")
    return result


async def _under_load(
    parts: Parts,
    buyers: Buyers,
    faults: Sequence[Fault],
    seconds: float,
    tell: Callable[[str], None],
) -> float:
    """Inject the faults, and wait until each is repaired and every buyer has finished. Returns the
    time of the last repair, from `time.monotonic`.
    """
    over, started = asyncio.Event(), time.monotonic()

    def timed(sentence: str) -> None:
        tell(f"{time.monotonic() - started:6.1f} s  {sentence}")

    async with asyncio.TaskGroup() as tasks:
        shopping = tasks.create_task(buyers.shop(BUYERS, over))
        telling = tasks.create_task(_tell_counts(buyers, timed))
        injecting = []
        for fault in faults:
            await asyncio.sleep(max(0.0, started + fault.at - time.monotonic()))
            injecting.append(tasks.create_task(parts.inject(fault, timed)))
        await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))
        await asyncio.gather(*injecting)
        over.set()
        repaired = time.monotonic()
        timed("all faults are repaired")
        await shopping
        telling.cancel()
    return repaired


async def _tell_counts(buyers: Buyers, tell: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(TELL_EVERY)
        in_vain = ", ".join(f"{number} {what}" for what, number in buyers.in_vain.items())
        accepted = f"{len(buyers.accepted)} purchases accepted"
        tell(f"{accepted} (requests in vain: {in_vain or 'none'})")


async def _until_nothing_is_left(parts: Parts, tell: Callable[[str], None]) -> Counter[str]:
    deadline, told = time.monotonic() + RECOVERS_WITHIN, time.monotonic()
    while True:
        left = await what_is_left(parts.databases)
        if not left or time.monotonic() > deadline:
            return left
        if time.monotonic() > told + TELL_EVERY:
            told = time.monotonic()
            tell("left: " + ", ".join(f"{what} {number}" for what, number in left.items()))
        await asyncio.sleep(0.1)


async def _until_it_holds(parts: Parts) -> Report:
    """Check the invariants until they hold, for 30 s at most: views may be a moment behind."""
    participants, deadline = read(CHOREOGRAPHY).participants, time.monotonic() + 30
    while True:
        report = await check(
            parts.databases,
            participants,
            rabbitmq_url=parts.installation.broker_url(ADMINISTRATOR),
            grace_seconds=0,
        )
        if report.hold or time.monotonic() > deadline:
            return report
        await asyncio.sleep(0.2)


def _no_ends(ended: Counter[str]) -> Counter[str]:
    return Counter({state: number for state, number in ended.items() if state not in FINAL_STATES})
