"""The payments service is put together in this module and nowhere else."""

from libs.calls.attention import attention_count
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.database import create_engine
from libs.runtime.loops import Loop
from libs.runtime.server import main
from libs.runtime.service import Service
from libs.runtime.written_choreography import read_choreography
from services.payments.application.expire_payment_codes import expire_payment_codes
from services.payments.infrastructure.consumers import participant
from services.payments.infrastructure.gateway_worker import gateway_worker
from services.payments.infrastructure.http import router
from services.payments.infrastructure.postgres import PostgresPaymentsUnitOfWork
from services.payments.infrastructure.sandbox_gateway import SandboxGateway
from services.payments.infrastructure.settings import PaymentsSettings
from services.payments.infrastructure.tables import TABLES, payments

EXPIRED_AT_ONCE = 200


def build(settings: PaymentsSettings) -> Service[PostgresPaymentsUnitOfWork]:
    engine = create_engine(settings)
    outbox = Outbox(settings.service, TABLES)
    transactions = Transactions(engine, outbox, PostgresPaymentsUnitOfWork)
    gateway = SandboxGateway(engine, latency=settings.sandbox_latency_seconds)
    worker = gateway_worker(transactions, gateway, settings.gateway_terms)

    async def expire() -> bool:
        return await transactions.run(lambda uow: expire_payment_codes(uow, limit=EXPIRED_AT_ONCE))

    return Service(
        settings=settings,
        description="Payment codes, payments and refunds.",
        tags={"payments": "Pay with a code; settle what the gateway leaves open."},
        participant=participant(settings.code_terms),
        choreography=read_choreography(settings.choreography),
        tables=TABLES,
        transactions=transactions,
        routers=[router(transactions, worker.loop.wake, settings.card_tries)],
        loops=[
            worker.loop,
            Loop("expiry", 1.0, expire),
            attention_count(settings.service, engine, payments),
        ],
    )


if __name__ == "__main__":
    main(PaymentsSettings, build)
