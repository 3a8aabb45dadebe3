"""The worker calls an external system: it claims what is due in one transaction, records each
answer in another, and keeps none open during the calls.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

import structlog

from libs.kernel.calls import RetryPolicy, Unanswered
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.runtime.loops import Loop

STRAGGLER_SECONDS = 0.25
"""A call that takes longer goes on while the next ones are claimed, so that a silent system or one
slow call does not delay the others.
"""
RECORDED_AT_ONCE = 2
"""At most this many answers are recorded at once: many may come together, connections are few."""


class Due(Protocol):
    """A `Due` is what a call is made for. `attempts` counts its calls, the claimed one too."""

    attempts: int


Unit = TypeVar("Unit", bound=UnitOfWork)
Claimed = TypeVar("Claimed", bound=Due)
Answer = TypeVar("Answer")
Result = TypeVar("Result")
Policy_co = TypeVar("Policy_co", bound=RetryPolicy, covariant=True)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CallTerms(Generic[Policy_co]):
    """At most `concurrency` calls run at the same time. `lease` must be longer than `patience`, the
    longest time a call may take.
    """

    concurrency: int
    patience: timedelta
    lease: timedelta
    policy: Policy_co


class CallWorker(Generic[Unit, Claimed, Answer, Result]):
    """A `CallWorker` calls the system `name`. The service says how: `claim` takes the number of
    calls it may claim and returns those that are due; `call` makes one; `record` writes its answer,
    and `recorded` is told the result after the commit; `about` names a call in the log.

    The claims of a worker that was killed end with their lease, and the call is repeated.
    """

    def __init__(
        self,
        name: str,
        transactions: Transactions[Unit],
        terms: CallTerms[RetryPolicy],
        *,
        every: float,
        claim: Callable[[Unit, int], Awaitable[Sequence[Claimed]]],
        call: Callable[[Claimed], Awaitable[Answer]],
        record: Callable[[Unit, Claimed, Answer], Awaitable[Result]],
        recorded: Callable[[Claimed, Answer, Result], None],
        about: Callable[[Claimed], Mapping[str, object]],
    ) -> None:
        self.loop = Loop(name, every, self.work)
        self._transactions = transactions
        self._terms = terms
        self._claim = claim
        self._call = call
        self._record = record
        self._recorded = recorded
        self._about = about
        self._recording = asyncio.Semaphore(RECORDED_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()

    async def work(self) -> bool:
        """Claim what is due and make the calls. Returns True when there may be more."""
        free = self._terms.concurrency - len(self._under_way)
        if free == 0:
            await asyncio.wait(
                self._under_way, timeout=self.loop.every, return_when=asyncio.FIRST_COMPLETED
            )
            return True
        claimed = await self._transactions.run(lambda uow: self._claim(uow, free))
        calls = {asyncio.create_task(self._make(each)) for each in claimed}
        self._under_way |= calls
        for call in calls:
            call.add_done_callback(self._under_way.discard)
        if calls:
            await asyncio.wait(calls, timeout=STRAGGLER_SECONDS)
        return len(claimed) == free

    async def _make(self, claimed: Claimed) -> None:
        about = {**self._about(claimed), "attempts": claimed.attempts}
        try:
            answer = await self._call(claimed)
            async with self._recording:
                result = await self._transactions.run(
                    lambda uow: self._record(uow, claimed, answer)
                )
            self._recorded(claimed, answer, result)
        except Exception:
            log.exception("answer not recorded", loop=self.loop.name, **about)
            return
        if isinstance(answer, Unanswered):
            needs_a_person = claimed.attempts >= self._terms.policy.silent_tries
            say = log.error if needs_a_person else log.warning
            say(f"{self.loop.name} silent", **about)
