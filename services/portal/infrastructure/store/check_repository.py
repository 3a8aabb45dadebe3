"""Operators request checks of the invariants. All times are the database's own, so that the
checker, which reads them, compares no clocks.
"""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.infrastructure.tables import check_requests


class PostgresChecks:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ask(self, tenant_id: str) -> None:
        """Request a check. During a running check this causes another one after it."""
        asked = insert(check_requests).values(tenant_id=tenant_id, asked_at=func.clock_timestamp())
        await self._connection.execute(
            asked.on_conflict_do_update(
                index_elements=[check_requests.c.tenant_id],
                set_={"asked_at": asked.excluded.asked_at},
            )
        )

    async def asked_at(self, tenant_id: str) -> datetime | None:
        """Return the time of the request that has no result yet."""
        found = await self._connection.execute(
            select(check_requests.c.asked_at).where(check_requests.c.tenant_id == tenant_id)
        )
        return found.scalar_one_or_none()

    async def answer(self, tenant_id: str, started: datetime) -> None:
        """Answer all requests that were made before `started`, when the check began."""
        await self._connection.execute(
            delete(check_requests).where(
                check_requests.c.tenant_id == tenant_id, check_requests.c.asked_at <= started
            )
        )
