from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.code import code_from
from services.payments.domain.payment import Payment, State


@dataclass(frozen=True)
class CodeTerms:
    """A code lives for `lifetime`. The gateway takes amounts up to `gateway_limit_cents`."""

    lifetime: timedelta
    gateway_limit_cents: int


USUAL_TERMS = CodeTerms(timedelta(minutes=15), gateway_limit_cents=1_000_000_000)


async def generate_payment_code(
    uow: PaymentsUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    customer_id: UUID,
    amount_cents: int,
    payment_id: UUID,
    code_number: int,
    terms: CodeTerms,
) -> None:
    """Begin the payment of a reserved vehicle. A purchase that has a record in any state does not
    change: its payment was begun or cancelled before.
    """
    payment = Payment(
        order_id=order_id,
        tenant_id=tenant_id,
        payment_id=payment_id,
        state=State.PENDING,
        customer_id=customer_id,
        amount_cents=amount_cents,
    )
    if 0 < amount_cents <= terms.gateway_limit_cents:
        payment.code = code_from(code_number)
    else:
        payment.state, payment.reason = State.FAILED, "amount_not_payable"
    if await uow.payments.add(payment, code_lives=terms.lifetime):
        uow.publish(payment.begun())
