from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.payment import Payment


async def cancel_payment(
    uow: PaymentsUnitOfWork, *, tenant_id: str, order_id: UUID, payment_id: UUID
) -> None:
    """Void or refund the purchase's payment. Where no payment has begun, leave a tombstone, which
    keeps it from beginning.
    """
    tombstone = Payment.cancelled_before_it_began(
        order_id=order_id, tenant_id=tenant_id, payment_id=payment_id
    )
    payment = await uow.payments.add_or_lock(tombstone)
    if payment is tombstone:
        uow.publish(tombstone.begun())
        return
    uow.publish(*payment.cancel())
    await uow.payments.save(payment)
