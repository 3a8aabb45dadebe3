from uuid import UUID

from services.payouts.application.ports import PayoutsUnitOfWork
from services.payouts.domain.bank import Answer, BankPolicy
from services.payouts.domain.payout import Payout, Status


async def record_answer(
    uow: PayoutsUnitOfWork,
    *,
    payout_id: UUID,
    answer: Answer,
    claim: UUID | None,
    policy: BankPolicy,
) -> bool:
    """Record the result of the call made under `claim`. Returns True when the payout has now
    failed.
    """
    payout: Payout = await uow.payouts.lock(payout_id)
    was = payout.status
    uow.publish(*payout.answered(answer, claim, policy))
    await uow.payouts.save(payout)
    return payout.status is Status.FAILED and was is not Status.FAILED
