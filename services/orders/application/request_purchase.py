from datetime import datetime
from uuid import UUID

from services.orders.application.create_order import create_order
from services.orders.application.limit_open_purchases import limit_open_purchases
from services.orders.application.ports import OrdersUnitOfWork
from services.orders.domain.order import Order


async def request_purchase(
    uow: OrdersUnitOfWork,
    *,
    order_id: UUID,
    tenant_id: str,
    customer_id: UUID,
    vehicle_id: UUID,
    price_cents: int,
    now: datetime,
) -> Order:
    """Create and confirm an order in one step. Raises TooManyOpenPurchases."""
    await limit_open_purchases(uow, tenant_id=tenant_id, customer_id=customer_id)
    order = await create_order(
        uow,
        order_id=order_id,
        tenant_id=tenant_id,
        customer_id=customer_id,
        vehicle_id=vehicle_id,
        now=now,
    )
    uow.publish(*order.confirm(price_cents, now, uow.deadlines))
    await uow.orders.save(order)
    return order
