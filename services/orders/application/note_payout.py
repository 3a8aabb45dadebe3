from uuid import UUID

from services.orders.application.note_event import note_event
from services.orders.application.ports import OrdersUnitOfWork
from services.orders.domain.history import Fact


async def note_payout(
    uow: OrdersUnitOfWork, *, tenant_id: str, order_id: UUID | None, fact: Fact
) -> None:
    """The seller was paid, or could not be. Does nothing for a payout that was requested by hand,
    because it belongs to no order. Raises PurchaseNotFound.
    """
    if order_id is not None:
        await note_event(uow, tenant_id=tenant_id, order_id=order_id, fact=fact)
