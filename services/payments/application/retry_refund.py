from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.payment import Payment


async def retry_refund(
    uow: PaymentsUnitOfWork, *, tenant_id: str, payment_id: UUID, version: int | None
) -> Payment:
    """Call the gateway for a failed refund again, now.

    Raises PaymentNotFound, StalePayment, RefundNotFailed.
    """
    payment = await uow.payments.lock_by_id(tenant_id, payment_id)
    payment.check_version(version)
    payment.retry_refund()
    await uow.payments.save(payment)
    return payment
