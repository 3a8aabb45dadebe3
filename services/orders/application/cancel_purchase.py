from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.order import Order


async def cancel_purchase(
    uow: OrdersUnitOfWork, *, scope: Scope, order_id: UUID, now: datetime
) -> Order:
    """Cancel the purchase for the buyer, which is possible until the order is closed.

    Raises OrderNotFound, PurchaseNotFound, OrderAlreadyClosed, PurchaseAlreadyFailed.
    """
    order = await uow.orders.lock(scope, order_id)
    uow.publish(*order.cancel(now))
    await uow.orders.save(order)
    return order
