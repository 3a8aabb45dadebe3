"""Calls the bank for due payouts: claims in one transaction, records in another, and keeps none
open between them.

The claims of a killed worker end with their lease, and the call is repeated with its key.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

import structlog
from prometheus_client import Counter

from libs.messaging.outbox.unit_of_work import Transactions
from libs.calls.worker import Calls
from services.payouts.application.call_bank import call_bank
from services.payouts.application.ports import Bank
from services.payouts.application.record_answer import record_answer
from services.payouts.domain.bank import Answer, RetryPolicy, Unanswered
from services.payouts.domain.payout import Payout
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork

EVERY_SECONDS = 0.5

log = structlog.get_logger()
answers = Counter("payouts_bank_answers_total", "Answers of the bank", ["answer"])
for kind in get_args(Answer):  # a rate sees the first answer only of a counter that was there
    answers.labels(kind.__name__.lower())
failures = Counter("payouts_failed_total", "Payouts that failed for good: each needs a person")


@dataclass(frozen=True)
class BankTerms:
    """`lease` must be longer than `patience`, the longest time a call may take."""

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
        self._recording = asyncio.Semaphore(2)  # answers come in crowds, connections are few
        calls = Calls(
            "bank",
            every=EVERY_SECONDS,
            concurrency=terms.concurrency,
            claim=self._claim,
            call=self._call,
            about=_about,
        )
        self.loop, self.work = calls.loop, calls.work

    async def _claim(self, most: int) -> Sequence[Payout]:
        return await self._transactions.run(
            lambda uow: uow.payouts.claim_calls(most, self._terms.lease)
        )

    async def _call(self, payout: Payout) -> None:
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
        self._tell(payout, answer, failed=failed)

    def _tell(self, payout: Payout, answer: Answer, *, failed: bool) -> None:
        if failed:
            log.error("payout failed", **_about(payout))
        elif isinstance(answer, Unanswered):
            alert = payout.attempts >= self._terms.policy.silent_tries
            say = log.error if alert else log.warning
            say("bank silent", **_about(payout))


def _about(payout: Payout) -> dict[str, object]:
    order_id = None if payout.order_id is None else str(payout.order_id)
    ids = {"payout_id": str(payout.payout_id), "order_id": order_id}
    return {**ids, "attempts": payout.attempts}
