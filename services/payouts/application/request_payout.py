from services.payouts.application.ports import PayoutsUnitOfWork
from services.payouts.domain.payout import Payout, free_external_id


async def request_payout(uow: PayoutsUnitOfWork, payout: Payout) -> Payout:
    """The payout itself when it is the first of its `external_id`, else the one there is: then
    nothing is paid again, whatever amount was asked for now.

    Raises ReservedExternalId.
    """
    free_external_id(payout.external_id)
    known = await uow.payouts.was_processed(payout.tenant_id, payout.external_id)
    # Several at once may find it unknown. The database lets one of them in.
    if not known and await uow.payouts.save_payout(payout):
        return payout
    return await uow.payouts.get(payout.tenant_id, payout.external_id)
