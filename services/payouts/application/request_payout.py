from services.payouts.application.ports import PayoutsUnitOfWork
from services.payouts.domain.payout import Payout, free_external_id


async def request_payout(uow: PayoutsUnitOfWork, *, payout: Payout) -> Payout:
    """Return the new payout when it is the first of its `external_id`, else the existing one: then
    nothing is paid again, whatever the requested amount.

    Raises ReservedExternalId.
    """
    free_external_id(payout.external_id)
    known = await uow.payouts.was_processed(payout.tenant_id, payout.external_id)
    # Several requests at once may find none. The database accepts one of them.
    if not known and await uow.payouts.add(payout):
        return payout
    return await uow.payouts.get(payout.tenant_id, payout.external_id)
