from services.payouts.application.ports import PayoutsUnitOfWork
from services.payouts.domain.payout import Payout


async def retry_payout(
    uow: PayoutsUnitOfWork, *, tenant_id: str, external_id: str, version: int | None
) -> Payout:
    """Call the bank for a failed payout again, now.

    Raises PayoutNotFound, StalePayout, PayoutNotFailed.
    """
    payout = await uow.payouts.lock_by_external_id(tenant_id, external_id)
    payout.check_version(version)
    payout.retry()
    await uow.payouts.save(payout)
    return payout
