from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork
from services.orders.domain.order import Order


async def create_order(
    uow: OrdersUnitOfWork,
    *,
    order_id: UUID,
    tenant_id: str,
    customer_id: UUID | None,
    vehicle_id: UUID | None,
    now: datetime,
) -> Order:
    """Create a draft, which reserves nothing and publishes nothing. Raises IncompletePurchase."""
    order = Order(
        id=order_id,
        tenant_id=tenant_id,
        customer_id=customer_id,
        vehicle_id=vehicle_id,
        created_at=now,
    )
    await uow.orders.add(order)
    return order
