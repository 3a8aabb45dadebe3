"""The orders service runs as a process; only this module puts its parts together.

python -m services.orders.main                     serve (ROLE: all, api, worker, relay)
python -m services.orders.main recover-lost        after a failover that lost commits: end the
                                                   purchases that only peers know, a JSON line each
"""

import asyncio
import sys
from functools import partial

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.database import check_database, create_engine
from libs.runtime.server import main
from libs.runtime.service import Service
from libs.runtime.settings import read_settings
from libs.runtime.start_failure import one_line_errors
from libs.runtime.written_choreography import read_choreography
from services.orders.infrastructure.consumers import participant
from services.orders.infrastructure.deadline_timer import deadline_timer
from services.orders.infrastructure.http_orders import orders_router
from services.orders.infrastructure.http_purchases import purchases_router
from services.orders.infrastructure.lost_purchases import read_lost, recover
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork
from services.orders.infrastructure.settings import OrdersSettings
from services.orders.infrastructure.tables import TABLES


def connect(settings: OrdersSettings) -> Transactions[PostgresOrdersUnitOfWork]:
    return Transactions(
        create_engine(settings),
        Outbox(settings.service, TABLES),
        partial(
            PostgresOrdersUnitOfWork,
            deadlines=settings.deadlines,
            most_open=settings.max_open_purchases,
        ),
    )


def build(settings: OrdersSettings) -> Service[PostgresOrdersUnitOfWork]:
    transactions = connect(settings)
    return Service(
        settings=settings,
        description="Orders and purchases: from the draft to the pick-up.",
        tags={
            "orders": "Drafts, confirmed and closed orders.",
            "purchases": "Buying in one step, watching it, giving up.",
        },
        participant=participant(),
        choreography=read_choreography(settings.choreography),
        tables=TABLES,
        transactions=transactions,
        routers=[orders_router(transactions), purchases_router(transactions)],
        loops=[deadline_timer(transactions, settings)],
    )


async def recover_lost(settings: OrdersSettings) -> str:
    """Recover the purchases on standard input. Raises StartFailure, also for an unreadable line."""
    lost = read_lost(sys.stdin)
    await check_database(settings)
    transactions = connect(settings)
    try:
        recovered = await recover(transactions, lost)
    finally:
        await transactions.engine.dispose()
    return f"{recovered} of {len(lost)} purchases are recovered, and end"


if __name__ == "__main__":
    if sys.argv[1:] == ["recover-lost"]:
        with one_line_errors():
            print(asyncio.run(recover_lost(read_settings(OrdersSettings))))  # noqa: T201
    else:
        main(OrdersSettings, build)
