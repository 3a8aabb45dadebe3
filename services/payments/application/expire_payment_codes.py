from services.payments.application.ports import PaymentsUnitOfWork


async def expire_payment_codes(uow: PaymentsUnitOfWork, *, limit: int) -> bool:
    """Expire the codes whose time is over. Returns True when there may be more."""
    overdue = await uow.payments.lock_overdue(limit)
    for payment in overdue:
        uow.publish(*payment.expire())
    await uow.payments.save(*overdue)
    return len(overdue) == limit
