from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.deadlines import Deadlines
from services.orders.domain.history import Fact


async def complete_purchase(
    uow: OrdersUnitOfWork,
    tenant_id: str,
    order_id: UUID,
    seller_id: UUID,
    fact: Fact,
    deadlines: Deadlines,
    now: datetime,
) -> None:
    """The vehicle is sold. Raises PurchaseNotFound."""
    purchase = await uow.purchases.lock(Scope(tenant_id), order_id)
    uow.publish(*purchase.complete(seller_id, fact, now, deadlines))
    await uow.purchases.save(purchase)
