"""The unit of work of kpis writes the facts of all messages of a transaction in one statement."""

from datetime import tzinfo

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.kpis.infrastructure.facts import PostgresFacts
from services.kpis.infrastructure.kpi_repository import PostgresKpis
from services.kpis.infrastructure.read_model import PostgresReadModel


class PostgresKpisUnitOfWork(UnitOfWork):
    """The figures use the months of the time zone `zone`."""

    def __init__(self, connection: AsyncConnection, outbox: Outbox, zone: tzinfo) -> None:
        super().__init__(connection, outbox)
        self.kpis = PostgresKpis(connection)
        self.facts = PostgresFacts(connection)
        self.read_model = PostgresReadModel(connection, zone)

    async def flush(self) -> None:
        if self.facts.added:
            await self.facts.write()
            await self.read_model.fold(self.facts.added)
