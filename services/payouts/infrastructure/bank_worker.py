"""This worker calls the bank for due payouts."""

import structlog
from prometheus_client import Counter

from libs.calls.answers import AnswerCounter
from libs.calls.worker import CallTerms, CallWorker
from libs.messaging.outbox.unit_of_work import Transactions
from services.payouts.application.call_bank import call_bank
from services.payouts.application.ports import Bank
from services.payouts.application.record_answer import record_answer
from services.payouts.domain.bank import Answer, BankPolicy
from services.payouts.domain.payout import Payout
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork as Unit

EVERY_SECONDS = 0.5

log = structlog.get_logger()
answers = AnswerCounter("payouts_bank_answers_total", "Answers of the bank", Answer)
failures = Counter("payouts_failed_total", "Payouts that failed for good: each needs a person")


def bank_worker(
    transactions: Transactions[Unit], bank: Bank, terms: CallTerms[BankPolicy]
) -> CallWorker[Unit, Payout, Answer, bool]:
    async def record(uow: Unit, payout: Payout, answer: Answer) -> bool:
        return await record_answer(
            uow,
            payout_id=payout.payout_id,
            answer=answer,
            claim=payout.claim,
            policy=terms.policy,
        )

    def recorded(payout: Payout, answer: Answer, failed: bool) -> None:  # noqa: FBT001
        answers.count(answer)
        if failed:
            failures.inc()
            log.error("payout failed", **_about(payout), attempts=payout.attempts)

    return CallWorker(
        "bank",
        transactions,
        terms,
        every=EVERY_SECONDS,
        claim=lambda uow, most: uow.payouts.claim_calls(most, terms.lease),
        call=lambda payout: call_bank(bank, payout, terms.patience),
        record=record,
        recorded=recorded,
        about=_about,
    )


def _about(payout: Payout) -> dict[str, object]:
    order_id = None if payout.order_id is None else str(payout.order_id)
    return {"payout_id": str(payout.payout_id), "order_id": order_id}
