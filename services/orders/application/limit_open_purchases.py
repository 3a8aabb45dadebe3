from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork
from services.orders.domain.errors import TooManyOpenPurchases


async def limit_open_purchases(uow: OrdersUnitOfWork, *, tenant_id: str, customer_id: UUID) -> None:
    """Raise TooManyOpenPurchases when the customer already has as many as are allowed.

    Concurrent requests of one customer wait for each other, so that together they cannot exceed the
    limit.
    """
    if await uow.purchases.count_open(tenant_id, customer_id) >= uow.most_open:
        raise TooManyOpenPurchases(most=uow.most_open)
