from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork


async def refund_failed_sale(uow: PaymentsUnitOfWork, *, order_id: UUID) -> None:
    """Begin to refund the purchase: the vehicle was paid and could not be sold."""
    payment = await uow.payments.find_locked(order_id)
    if payment is not None:
        payment.refund_failed_sale()
        await uow.payments.save(payment)
