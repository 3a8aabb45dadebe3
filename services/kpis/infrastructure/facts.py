"""Facts are stored in Postgres. They are added, and never changed or deleted."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpis.domain.fact import Fact
from services.kpis.infrastructure.tables import facts

_COLUMNS = [column for column in facts.c if column.name != "heard_at"]
_INSERT = insert(facts).on_conflict_do_nothing(index_elements=[facts.c.event_id])


class PostgresFacts:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.added: list[Fact] = []

    def add(self, fact: Fact) -> None:
        self.added.append(fact)

    async def write(self) -> None:
        """Write all added facts in one statement."""
        await self._connection.execute(_INSERT, [asdict(fact) for fact in self.added])

    async def subjects(self, after: UUID | None, limit: int) -> Sequence[UUID]:
        query = select(facts.c.subject).group_by(facts.c.subject).order_by(facts.c.subject)
        if after is not None:
            query = query.where(facts.c.subject > after)
        return (await self._connection.scalars(query.limit(limit))).all()

    async def of(self, subjects: Sequence[UUID]) -> Sequence[Fact]:
        query = select(*_COLUMNS).where(facts.c.subject == func.any(list(subjects)))
        rows = await self._connection.execute(query.order_by(facts.c.subject))
        return [Fact(**row) for row in rows.mappings()]
