from datetime import datetime
from uuid import UUID

from services.orders.application.limit_open_purchases import limit_open_purchases
from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.order import Order


async def confirm_order(
    uow: OrdersUnitOfWork,
    *,
    scope: Scope,
    order_id: UUID,
    expected_version: int,
    price_cents: int,
    now: datetime,
) -> Order:
    """Confirm a draft. With a customer and a vehicle its purchase begins.

    Raises OrderNotFound, StaleVersion, OrderNotDraft, TooManyOpenPurchases.
    """
    order = await uow.orders.lock(scope, order_id)
    order.check_version(expected_version)
    events = order.confirm(price_cents, now, uow.deadlines)
    if order.customer_id is not None:
        await limit_open_purchases(uow, tenant_id=order.tenant_id, customer_id=order.customer_id)
    uow.publish(*events)
    await uow.orders.save(order)
    return order
