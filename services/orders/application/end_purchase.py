from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.history import Fact


async def end_purchase(
    uow: OrdersUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    reason: str | None,
    fact: Fact,
    now: datetime,
) -> None:
    """End the purchase: its credit is released, or was never reserved. Raises PurchaseNotFound."""
    purchase = await uow.purchases.lock(Scope(tenant_id), order_id)
    uow.publish(*purchase.end(reason, fact, now))
    await uow.purchases.save(purchase)
