from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.history import Fact
from services.orders.domain.states import State


async def advance_purchase(
    uow: OrdersUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    state: State,
    fact: Fact,
) -> None:
    """Raise the state of the purchase when a peer has done its step. Raises PurchaseNotFound."""
    purchase = await uow.purchases.lock(Scope(tenant_id), order_id)
    purchase.reach(state, fact)
    await uow.purchases.save(purchase)
