from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.history import Fact


async def turn_purchase_back(
    uow: OrdersUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    reason: str | None,
    fact: Fact,
) -> None:
    """Begin the compensation: a peer has failed or undone its step. Raises PurchaseNotFound."""
    purchase = await uow.purchases.lock(Scope(tenant_id), order_id)
    purchase.turn_back(reason, fact)
    await uow.purchases.save(purchase)
