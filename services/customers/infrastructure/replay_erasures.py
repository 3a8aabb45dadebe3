"""After a restore, this command erases again the customers that the ledger remembers."""

from functools import partial

from libs.messaging.outbox.unit_of_work import Transactions
from services.customers.application.replay_erasure import replay_erasure
from services.customers.infrastructure.erasure_ledger import FileErasureLedger
from services.customers.infrastructure.postgres import PostgresCustomersUnitOfWork


async def replay_erasures(
    transactions: Transactions[PostgresCustomersUnitOfWork], ledger: FileErasureLedger
) -> str:
    """Return one line on what was done. It may run again at any time."""
    known = again = 0
    try:
        for entry in ledger.entries():
            known += 1
            again += await transactions.run(
                partial(
                    replay_erasure,
                    tenant_id=entry.tenant_id,
                    customer_id=entry.customer_id,
                    erased_at=entry.erased_at,
                )
            )
    finally:
        await transactions.engine.dispose()
    return f"{known} erasures in the ledger, {again} customers erased again"
