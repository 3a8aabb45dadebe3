from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.gateway import Answer, GatewayPolicy


async def record_charge(
    uow: PaymentsUnitOfWork,
    *,
    order_id: UUID,
    answer: Answer,
    claim: UUID | None,
    policy: GatewayPolicy,
) -> None:
    """Record the result of the call made under `claim`. If it is recorded twice, the first one
    stands.
    """
    payment = await uow.payments.lock(order_id)
    uow.publish(*payment.charge_answered(answer, claim, policy))
    await uow.payments.save(payment)
