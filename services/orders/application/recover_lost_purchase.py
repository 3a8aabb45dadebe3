from datetime import datetime
from uuid import UUID

from services.orders.application.create_order import create_order
from services.orders.application.ports import OrdersUnitOfWork, Scope


async def recover_lost_purchase(
    uow: OrdersUnitOfWork,
    *,
    order_id: UUID,
    tenant_id: str,
    customer_id: UUID,
    vehicle_id: UUID,
    price_cents: int,
    now: datetime,
) -> bool:
    """Create the order of a purchase that peers know and the database has lost, and begin its
    compensation. Returns False and changes nothing where the order exists.
    """
    if await uow.orders.find(Scope(tenant_id), order_id) is not None:
        return False
    order = await create_order(
        uow,
        order_id=order_id,
        tenant_id=tenant_id,
        customer_id=customer_id,
        vehicle_id=vehicle_id,
        now=now,
    )
    uow.publish(*order.end_lost(price_cents, now, uow.deadlines))
    await uow.orders.save(order)
    return True
