from dataclasses import dataclass

from services.payouts.application.ports import PayoutsUnitOfWork
from services.payouts.domain.payout import Payout


@dataclass(frozen=True)
class PayoutSettlement:
    """A person found this out at the bank. `reference` is that of the transfer, and None where
    there is no transfer; `by` is the person.
    """

    reference: str | None
    note: str
    by: str


async def settle_payout(
    uow: PayoutsUnitOfWork,
    *,
    tenant_id: str,
    external_id: str,
    version: int | None,
    settlement: PayoutSettlement,
) -> Payout:
    """Record by hand whether the bank has made a payment that it leaves unanswered.

    Raises PayoutNotFound, StalePayout, PayoutNotUnanswered, PayoutInFlight.
    """
    payout = await uow.payouts.lock_by_external_id(tenant_id, external_id)
    payout.check_version(version)
    uow.publish(
        *payout.settle(reference=settlement.reference, note=settlement.note, by=settlement.by)
    )
    await uow.payouts.save(payout)
    return payout
