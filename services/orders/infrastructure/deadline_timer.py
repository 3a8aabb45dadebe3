"""The deadline timer is a loop that looks at the purchases whose due time has come."""

import structlog
from prometheus_client import Counter

from libs.kernel.clock import utc_now
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.loops import Loop
from services.orders.application.give_up_overdue_purchases import (
    Overdue,
    give_up_overdue_purchases,
)
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork
from services.orders.infrastructure.settings import OrdersSettings

AT_ONCE = 50
"""One transaction takes at most this number of purchases."""

STUCK = Counter(
    "orders_compensating_too_long",
    "Times a purchase was found in its compensation for longer than allowed",
)

log = structlog.get_logger(__name__)


def deadline_timer(
    transactions: Transactions[PostgresOrdersUnitOfWork], settings: OrdersSettings
) -> Loop:
    """Return the loop that gives up overdue purchases and raises alerts for stuck ones."""

    async def look(uow: PostgresOrdersUnitOfWork) -> Overdue:
        return await give_up_overdue_purchases(uow, most=AT_ONCE, now=utc_now())

    async def work() -> bool:
        overdue = await transactions.run(look)
        for order_id in overdue.stuck:
            STUCK.inc()
            log.warning("purchase is compensating for too long", order_id=str(order_id))
        return overdue.due == AT_ONCE

    return Loop("deadlines", settings.deadline_scan_seconds, work)
