"""This worker calls the gateway for due payments."""

from libs.calls.answers import AnswerCounter
from libs.calls.worker import CallTerms, CallWorker
from libs.messaging.outbox.unit_of_work import Transactions
from services.payments.application.call_gateway import call_gateway
from services.payments.application.ports import Gateway
from services.payments.application.record_charge import record_charge
from services.payments.application.record_refund import record_refund
from services.payments.domain.gateway import Answer, GatewayPolicy
from services.payments.domain.payment import Payment, State
from services.payments.infrastructure.postgres import PostgresPaymentsUnitOfWork as Unit

EVERY_SECONDS = 1.0
CHARGE, REFUND = "charge", "refund"

answers = AnswerCounter(
    "payments_gateway_answers_total",
    "Answers of the payment gateway",
    Answer,
    calls=(CHARGE, REFUND),
)


def gateway_worker(
    transactions: Transactions[Unit], gateway: Gateway, terms: CallTerms[GatewayPolicy]
) -> CallWorker[Unit, Payment, Answer, None]:
    async def record(uow: Unit, payment: Payment, answer: Answer) -> None:
        use_case = record_charge if _is_charge(payment) else record_refund
        await use_case(
            uow,
            order_id=payment.order_id,
            answer=answer,
            claim=payment.claim,
            policy=terms.policy,
        )

    def recorded(payment: Payment, answer: Answer, _: None) -> None:
        answers.count(answer, CHARGE if _is_charge(payment) else REFUND)

    return CallWorker(
        "gateway",
        transactions,
        terms,
        every=EVERY_SECONDS,
        claim=lambda uow, most: uow.payments.claim_calls(most, terms.lease),
        call=lambda payment: call_gateway(gateway, payment, terms.patience),
        record=record,
        recorded=recorded,
        about=lambda payment: {"order_id": str(payment.order_id)},
    )


def _is_charge(payment: Payment) -> bool:
    return payment.state is State.PROCESSING
