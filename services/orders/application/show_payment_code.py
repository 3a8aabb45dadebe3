from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.history import Fact


async def show_payment_code(
    uow: OrdersUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    code: str,
    expires_at: datetime,
    fact: Fact,
) -> None:
    """Show the buyer the code; the deadline follows its expiry. Raises PurchaseNotFound."""
    purchase = await uow.purchases.lock(Scope(tenant_id), order_id)
    purchase.receive_code(code, expires_at, fact)
    await uow.purchases.save(purchase)
