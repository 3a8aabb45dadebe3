from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork, Scope
from services.orders.domain.history import Fact


async def note_event(uow: OrdersUnitOfWork, *, tenant_id: str, order_id: UUID, fact: Fact) -> None:
    """Keep an event in the history that changes nothing else. Raises PurchaseNotFound."""
    purchase = await uow.purchases.lock(Scope(tenant_id), order_id)
    purchase.note(fact)
    await uow.purchases.save(purchase)
