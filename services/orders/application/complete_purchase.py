from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.history import Fact


async def complete_purchase(
    uow: OrdersUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    seller_id: UUID,
    fact: Fact,
    now: datetime,
) -> None:
    """Complete the purchase when its vehicle is sold. Raises PurchaseNotFound."""
    purchase = await uow.purchases.lock(Scope(tenant_id), order_id)
    uow.publish(*purchase.complete(seller_id, fact, now))
    await uow.purchases.save(purchase)
