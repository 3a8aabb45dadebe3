from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.order import Order


async def close_order(
    uow: OrdersUnitOfWork,
    *,
    scope: Scope,
    order_id: UUID,
    expected_version: int | None,
    now: datetime,
) -> Order:
    """Close the order once the vehicle was picked up. A closed order cannot be cancelled.

    Raises OrderNotFound, StaleVersion, OrderNotConfirmed, OrderAlreadyClosed, PurchaseNotCompleted.
    """
    order = await uow.orders.lock(scope, order_id)
    order.check_version(expected_version)
    uow.publish(*order.close(now))
    await uow.orders.save(order)
    return order
