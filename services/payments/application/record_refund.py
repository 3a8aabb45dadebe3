from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.gateway import Answer, GatewayPolicy


async def record_refund(
    uow: PaymentsUnitOfWork,
    *,
    order_id: UUID,
    answer: Answer,
    claim: UUID | None,
    policy: GatewayPolicy,
) -> None:
    """Record the result of the call made under `claim`. A failed call is due again later."""
    payment = await uow.payments.lock(order_id)
    uow.publish(*payment.refund_answered(answer, claim, policy))
    await uow.payments.save(payment)
