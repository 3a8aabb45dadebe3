"""Calls the gateway for due payments: claims in one transaction, records in another, and keeps none
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
from services.payments.application.call_gateway import call_gateway
from services.payments.application.ports import Gateway
from services.payments.application.record_charge import record_charge
from services.payments.application.record_refund import record_refund
from services.payments.domain.gateway import Answer, RetryPolicy, Unanswered
from services.payments.domain.payment import Payment, State
from services.payments.infrastructure.postgres import PostgresPaymentsUnitOfWork

EVERY_SECONDS = 1.0

log = structlog.get_logger()
answers = Counter(
    "payments_gateway_answers_total", "Answers of the payment gateway", ["call", "answer"]
)
CHARGE, REFUND = "charge", "refund"
for kind in get_args(Answer):  # a rate sees the first answer only of a counter that was there
    for asked in (CHARGE, REFUND):
        answers.labels(asked, kind.__name__.lower())


@dataclass(frozen=True)
class GatewayTerms:
    """`lease` must be longer than `patience`, the longest time a call may take."""

    concurrency: int
    patience: timedelta
    lease: timedelta
    policy: RetryPolicy


class GatewayWorker:
    def __init__(
        self,
        transactions: Transactions[PostgresPaymentsUnitOfWork],
        gateway: Gateway,
        terms: GatewayTerms,
    ) -> None:
        self._transactions = transactions
        self._gateway = gateway
        self._terms = terms
        self._recording = asyncio.Semaphore(2)  # answers come in crowds, connections are few
        calls = Calls(
            "gateway",
            every=EVERY_SECONDS,
            concurrency=terms.concurrency,
            claim=self._claim,
            call=self._call,
            about=_about,
        )
        self.loop, self.work = calls.loop, calls.work

    async def _claim(self, most: int) -> Sequence[Payment]:
        return await self._transactions.run(
            lambda uow: uow.payments.claim_calls(most, self._terms.lease)
        )

    async def _call(self, payment: Payment) -> None:
        answer = await call_gateway(self._gateway, payment, self._terms.patience)
        charging = payment.state is State.PROCESSING
        record = record_charge if charging else record_refund
        async with self._recording:
            await self._transactions.run(
                lambda uow: record(
                    uow,
                    order_id=payment.order_id,
                    answer=answer,
                    claim=payment.claim,
                    policy=self._terms.policy,
                )
            )
        answers.labels(CHARGE if charging else REFUND, type(answer).__name__.lower()).inc()
        if isinstance(answer, Unanswered):
            alert = payment.attempts >= self._terms.policy.silent_tries
            say = log.error if alert else log.warning
            say("gateway silent", **_about(payment))


def _about(payment: Payment) -> dict[str, object]:
    return {"order_id": str(payment.order_id), "attempts": payment.attempts}
