from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.errors import OrderNotFound
from services.orders.domain.order import Order


async def take_up_lost_purchase(
    uow: OrdersUnitOfWork,
    *,
    order_id: UUID,
    tenant_id: str,
    customer_id: UUID,
    vehicle_id: UUID,
    total_cents: int,
    now: datetime,
) -> bool:
    """Create the order of a purchase that peers know and the database has lost, and begin its
    compensation. False, and nothing changes, where the order exists.
    """
    try:
        await uow.orders.get(Scope(tenant_id), order_id)
    except OrderNotFound:
        pass
    else:
        return False
    order = Order(
        id=order_id,
        tenant_id=tenant_id,
        customer_id=customer_id,
        vehicle_id=vehicle_id,
        created_at=now,
    )
    uow.publish(*order.take_up_again(total_cents, now, uow.deadlines))
    await uow.orders.add(order)
    return True
