"""The customers service runs as a process; only this module puts its parts together.

python -m services.customers.main                     serve (ROLE: all, api, worker, relay)
python -m services.customers.main replay-erasures     after a restore, before serving
python -m services.customers.main re-seal             after a change of DATA_KEYS
"""

import asyncio
import sys
from functools import partial

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.data_keys import Indexed, Sealed
from libs.runtime.database import check_database, create_engine
from libs.runtime.server import main
from libs.runtime.service import Service
from libs.runtime.settings import read_settings
from libs.runtime.start_failure import one_line_errors
from libs.runtime.written_choreography import read_choreography
from services.customers.infrastructure.consumers import participant
from services.customers.infrastructure.erasure_ledger import FileErasureLedger
from services.customers.infrastructure.http import router
from services.customers.infrastructure.postgres import PostgresCustomersUnitOfWork
from services.customers.infrastructure.replay_erasures import replay_erasures
from services.customers.infrastructure.settings import CustomersSettings
from services.customers.infrastructure.tables import TABLES, customers
from services.customers.infrastructure.vault import Vault


def connect(settings: CustomersSettings) -> Transactions[PostgresCustomersUnitOfWork]:
    vault = Vault(settings.data_keys, settings.index_key)
    return Transactions(
        create_engine(settings),
        Outbox(settings.service, TABLES),
        partial(PostgresCustomersUnitOfWork, vault=vault),
    )


def build(settings: CustomersSettings) -> Service[PostgresCustomersUnitOfWork]:
    transactions = connect(settings)
    ledger = FileErasureLedger(settings.erasure_ledger)
    return Service(
        settings=settings,
        description="Customers, their personal data and their credit.",
        tags={"customers": "Register, find, change, erase; credit limits."},
        participant=participant(),
        choreography=read_choreography(settings.choreography),
        tables=TABLES,
        transactions=transactions,
        routers=[router(transactions, ledger, settings.starting_limit_cents)],
        sealed=Sealed(
            settings.data_keys,
            [customers.c.data_key],
            Indexed(
                customers.c.document_index, Vault(settings.data_keys, settings.index_key).finds
            ),
        ),
    )


async def replay(settings: CustomersSettings) -> str:
    """Erase again what the ledger has. Raises StartFailure when it or the database is unusable."""
    await check_database(settings)
    return await replay_erasures(connect(settings), FileErasureLedger(settings.erasure_ledger))


if __name__ == "__main__":
    if sys.argv[1:] == ["replay-erasures"]:
        with one_line_errors():
            print(asyncio.run(replay(read_settings(CustomersSettings))))  # noqa: T201
    else:
        main(CustomersSettings, build)
