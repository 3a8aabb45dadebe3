"""Calls the bank for what is due: claims in one transaction, records in another, none between.

A worker killed at any point leaves its claims to the lease: the call is repeated with its key.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog
from prometheus_client import Counter

from libs.messaging.unit_of_work import Transactions
from libs.runtime.loops import Loop
from services.payouts.application.call_bank import call_bank
from services.payouts.application.ports import Bank
from services.payouts.application.record_answer import record_answer
from services.payouts.domain.bank import Answer, RetryPolicy, Unanswered
from services.payouts.domain.payout import Payout
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork

EVERY_SECONDS = 0.5
STRAGGLER_SECONDS = 0.25
"""A call slower than this goes on beside the next claim, so that a silent bank, or one slow
payout, does not hold up the others."""
ALERT_AFTER = 5
"""Calls without an answer; from then on each is an error in the log."""

log = structlog.get_logger()
answers = Counter("payouts_bank_answers_total", "Answers of the bank", ["answer"])
failures = Counter("payouts_failed_total", "Payouts that failed for good: each needs a person")


@dataclass(frozen=True)
class BankTerms:
    """`lease` must be longer than `patience`, the longest a call may take."""

    concurrency: int
    patience: timedelta
    lease: timedelta
    policy: RetryPolicy


class BankWorker:
    def __init__(
        self, transactions: Transactions[PostgresPayoutsUnitOfWork], bank: Bank, terms: BankTerms
    ) -> None:
        self._transactions = transactions
        self._bank = bank
        self._terms = terms
        self._calls: set[asyncio.Task[None]] = set()
        self._recording = asyncio.Semaphore(2)  # answers come in crowds, connections are few
        self.loop = Loop("bank", EVERY_SECONDS, self.work)

    async def work(self) -> bool:
        """Claim what is due and call the bank for it. True: there may be more."""
        free = self._terms.concurrency - len(self._calls)
        if free == 0:
            await asyncio.wait(
                self._calls, timeout=EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            return True
        claimed = await self._transactions.run(
            lambda uow: uow.payouts.claim_calls(free, self._terms.lease)
        )
        calls = {asyncio.create_task(self._call(payout)) for payout in claimed}
        self._calls |= calls
        for call in calls:
            call.add_done_callback(self._calls.discard)
        if calls:
            await asyncio.wait(calls, timeout=STRAGGLER_SECONDS)
        return len(claimed) == free

    async def _call(self, payout: Payout) -> None:
        try:
            await self._call_and_record(payout)
        except Exception:
            log.exception("bank's answer not recorded", payout_id=str(payout.payout_id))

    async def _call_and_record(self, payout: Payout) -> None:
        answer = await call_bank(self._bank, payout, self._terms.patience)
        async with self._recording:
            failed = await self._transactions.run(
                lambda uow: record_answer(
                    uow,
                    payout_id=payout.payout_id,
                    answer=answer,
                    claim=payout.claim,
                    policy=self._terms.policy,
                )
            )
        answers.labels(type(answer).__name__.lower()).inc()
        if failed:
            failures.inc()
        _tell(payout, answer, failed=failed)


def _tell(payout: Payout, answer: Answer, *, failed: bool) -> None:
    about = {
        "payout_id": str(payout.payout_id),
        "order_id": str(payout.order_id),
        "attempts": payout.attempts,
    }
    if failed:
        log.error("payout failed", **about)
    elif isinstance(answer, Unanswered):
        say = log.error if payout.attempts >= ALERT_AFTER else log.warning
        say("bank silent", **about)
