"""The orders service, wired. `python -m services.orders.main` runs it (ROLE: all, api, worker,
relay)."""

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.database import create_engine
from libs.runtime.peers import read_choreography
from libs.runtime.service import Service, main
from services.orders.infrastructure.consumers import participant
from services.orders.infrastructure.deadline_timer import deadline_timer
from services.orders.infrastructure.http_orders import orders_router
from services.orders.infrastructure.http_purchases import purchases_router
from services.orders.infrastructure.postgres import OrdersUnitOfWork
from services.orders.infrastructure.settings import OrdersSettings
from services.orders.infrastructure.tables import TABLES


def build(settings: OrdersSettings) -> Service[OrdersUnitOfWork]:
    transactions = Transactions(
        create_engine(settings), Outbox(settings.service, TABLES), OrdersUnitOfWork
    )
    return Service(
        settings=settings,
        description="Orders and purchases: from the draft to the pick-up.",
        tags={
            "orders": "Drafts, confirmed and closed orders.",
            "purchases": "Buying in one step, watching it, giving up.",
        },
        participant=participant(settings.deadlines),
        choreography=read_choreography(settings.choreography),
        tables=TABLES,
        transactions=transactions,
        routers=[orders_router(transactions, settings), purchases_router(transactions, settings)],
        loops=[deadline_timer(transactions, settings)],
    )


if __name__ == "__main__":
    main(OrdersSettings, build)
