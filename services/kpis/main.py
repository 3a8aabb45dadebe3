"""The kpis service runs as a process; only this module puts its parts together."""

from functools import partial
from zoneinfo import ZoneInfo

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.database import STATEMENT_SECONDS, create_engine
from libs.runtime.readiness import Remembered
from libs.runtime.replica import Replica
from libs.runtime.server import main
from libs.runtime.service import Service
from libs.runtime.written_choreography import read_choreography
from services.kpis.infrastructure.consumers import participant
from services.kpis.infrastructure.http import router
from services.kpis.infrastructure.postgres import PostgresKpisUnitOfWork
from services.kpis.infrastructure.reader import PostgresReader
from services.kpis.infrastructure.settings import KpisSettings
from services.kpis.infrastructure.tables import TABLES


def connect(
    settings: KpisSettings, *, statement_seconds: float = STATEMENT_SECONDS
) -> Transactions[PostgresKpisUnitOfWork]:
    engine = create_engine(settings, statement_seconds=statement_seconds)
    return Transactions(
        engine,
        Outbox(settings.service, TABLES),
        partial(PostgresKpisUnitOfWork, zone=ZoneInfo(settings.business_time_zone)),
    )


def build(settings: KpisSettings) -> Service[PostgresKpisUnitOfWork]:
    transactions = connect(settings)
    standby = settings.standby_dsn
    replica = Replica(settings, standby, transactions.engine) if standby else None
    reader = PostgresReader(
        settings.current_reader_dsn,
        settings.kpi_timeout_seconds,
        settings.kpi_max_rows,
        replica,
    )
    return Service(
        settings=settings,
        description="Figures of the market, defined as SQL over published views.",
        tags={"kpis": "Define, change, compute."},
        participant=participant(),
        choreography=read_choreography(settings.choreography),
        tables=TABLES,
        transactions=transactions,
        routers=[router(transactions, reader, settings.business_time_zone)],
        api_checks={"reader": Remembered(reader.can_read)},
        replica=replica,
    )


if __name__ == "__main__":
    main(KpisSettings, build)
