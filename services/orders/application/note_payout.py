from uuid import UUID

from services.orders.application.note_event import note_event
from services.orders.application.ports import OrdersUnitOfWork
from services.orders.domain.history import Fact


async def note_payout(
    uow: OrdersUnitOfWork, *, tenant_id: str, order_id: UUID | None, fact: Fact
) -> None:
    """Keep in the history that the seller was paid, or could not be. A payout by hand has no order
    and changes nothing. Raises PurchaseNotFound.
    """
    if order_id is not None:
        await note_event(uow, tenant_id=tenant_id, order_id=order_id, fact=fact)
