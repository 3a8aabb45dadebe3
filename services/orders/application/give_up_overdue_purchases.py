from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.orders.application.ports import OrdersUnitOfWork
from services.orders.domain.states import State


@dataclass(frozen=True)
class Overdue:
    """`due` counts the purchases past their deadline, of which the `stuck` are in compensation."""

    due: int
    stuck: Sequence[UUID]


async def give_up_overdue_purchases(uow: OrdersUnitOfWork, *, most: int, now: datetime) -> Overdue:
    """Start the compensation of every purchase past its deadline. A purchase whose compensation is
    overdue is only reported.
    """
    purchases = await uow.purchases.lock_due(most)
    stuck = [each.order_id for each in purchases if each.state is State.COMPENSATING]
    for purchase in purchases:
        uow.publish(*purchase.run_out_of_time(now))
        await uow.purchases.save(purchase)
    return Overdue(len(purchases), stuck)
