"""The payouts service is put together in this module and nowhere else."""

from libs.calls.attention import attention_count
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.database import create_engine
from libs.runtime.server import main
from libs.runtime.service import Service
from libs.runtime.written_choreography import read_choreography
from services.payouts.infrastructure.bank_worker import bank_worker
from services.payouts.infrastructure.consumers import participant
from services.payouts.infrastructure.http import router
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork
from services.payouts.infrastructure.sandbox_bank import SandboxBank
from services.payouts.infrastructure.settings import PayoutsSettings
from services.payouts.infrastructure.tables import TABLES, payouts


def build(settings: PayoutsSettings) -> Service[PostgresPayoutsUnitOfWork]:
    engine = create_engine(settings)
    outbox = Outbox(settings.service, TABLES)
    transactions = Transactions(engine, outbox, PostgresPayoutsUnitOfWork)
    bank = SandboxBank(engine, latency=settings.sandbox_bank_latency_seconds)
    worker = bank_worker(transactions, bank, settings.bank_terms)
    return Service(
        settings=settings,
        description="Payouts to sellers.",
        tags={"payouts": "Request, find, retry, settle."},
        participant=participant(),
        choreography=read_choreography(settings.choreography),
        tables=TABLES,
        transactions=transactions,
        routers=[router(transactions, worker.loop.wake)],
        loops=[worker.loop, attention_count(settings.service, engine, payouts)],
    )


if __name__ == "__main__":
    main(PayoutsSettings, build)
