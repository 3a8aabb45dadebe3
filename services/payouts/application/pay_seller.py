from uuid import UUID

from services.payouts.application.ports import PayoutsUnitOfWork
from services.payouts.domain.payout import Payout


async def pay_seller(
    uow: PayoutsUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    seller_id: UUID | None,
    amount_cents: int,
    payout_id: UUID,
) -> None:
    """Begin the payout of a closed order, once. An order without a vehicle has no seller to pay."""
    if seller_id is None:
        return
    await uow.payouts.add(
        Payout.of_order(
            payout_id=payout_id,
            tenant_id=tenant_id,
            order_id=order_id,
            seller_id=seller_id,
            amount_cents=amount_cents,
        )
    )
