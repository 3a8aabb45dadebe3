from collections.abc import Callable

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.code import parse_code
from services.payments.domain.errors import PaymentCodeNotFound
from services.payments.domain.payment import Payment


async def pay_code(
    uow: PaymentsUnitOfWork,
    *,
    tenant_id: str,
    code: str,
    method: str,
    may_see: Callable[[Payment], bool],
) -> Payment:
    """Accept a payment; a worker calls the gateway afterwards. Paying a code again changes nothing
    and returns the same payment. `method` is the gateway's token for the card.

    Raises MistypedCode, PaymentCodeNotFound, PaymentCodeExpired, PaymentCodeVoided.
    """
    payment, overdue = await uow.payments.lock_by_code(tenant_id, parse_code(code))
    if not may_see(payment):
        raise PaymentCodeNotFound("code")
    payment.pay(method, overdue=overdue)
    await uow.payments.save(payment)
    return payment
