"""The reader runs checked templates as a role that can read the published views and nothing else.

Each evaluation has a connection of its own, so that nothing a statement left in its session affects
the next one. The transaction is read-only, and Postgres stops it after its time limit.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from libs.kernel.errors import DomainError
from libs.messaging.database import DATABASE_ERRORS, Connection, connect
from libs.messaging.database_url import Dsn
from libs.runtime.problems import Unavailable
from libs.runtime.replica import Replica
from services.kpis.application.ports import Cell, Result
from services.kpis.domain.errors import (
    CellIsNoFigure,
    KpiNotComputable,
    KpiTooLarge,
    KpiTooSlow,
    MonthMissing,
)
from services.kpis.infrastructure.published_views import SCHEMA, VIEWS
from services.kpis.infrastructure.template import SafeQuery, safe_query
from services.kpis.infrastructure.units import unit_of_column

log = structlog.get_logger(__name__)

GRACE_SECONDS = 1.0
"""The service waits this long beyond the time at which Postgres should stop the statement."""
MAX_COLUMNS = 50
MAX_CHARACTERS = 1_000_000
MAX_DIGITS = 100
ROWS_AT_ONCE = 20
_READS = [f"SELECT FROM {SCHEMA}.{view} LIMIT 0" for view in VIEWS]  # nosec B608
OF_THE_TEMPLATE = ("22", "25", "42", "54")
"""The template causes these classes of SQLSTATE: data, the transaction's permissions, the statement
and its privileges, limits.
"""


class KpisUnavailable(Unavailable):
    text = "KPIs cannot be computed just now."


@dataclass(frozen=True)
class PostgresReader:
    dsn: Dsn
    timeout_seconds: float
    max_rows: int
    replica: Replica | None = None
    """This standby computes the figures while it keeps up."""

    async def can_read(self) -> bool:
        """Return whether the role can connect and read the views. Readiness depends on it."""
        try:
            async with self._transaction() as connection:
                for statement in _READS:
                    await connection.execute(statement)
        except (Unavailable, DomainError) as error:
            log.warning("the reader of kpis cannot read", error=str(error.__cause__ or error))
            return False
        return True

    async def check(self, sql_template: str) -> None:
        query = safe_query(sql_template, self.max_rows)
        async with self._transaction() as connection:
            await connection.prepare(query.sql)

    async def evaluate(self, sql_template: str, tenant_id: str, month: str | None) -> Result:
        query = safe_query(sql_template, self.max_rows)
        arguments = _arguments(query, tenant_id, month)
        if self.replica is not None and self.replica.trouble is None:
            try:
                return await self._compute(self.replica.dsn, query, arguments)
            except KpisUnavailable as error:
                if not (error.__cause__ and self.replica.has_failed(error.__cause__)):
                    raise
        return await self._compute(self.dsn, query, arguments)

    async def _compute(self, dsn: Dsn, query: SafeQuery, arguments: Sequence[str | None]) -> Result:
        async with self._transaction(dsn) as connection:
            statement = await connection.prepare(query.sql)
            columns = tuple(attribute.name for attribute in statement.get_attributes())
            if len(columns) > MAX_COLUMNS:
                raise self._too_large()
            rows, size = [], 0
            given = arguments[: len(statement.get_parameters())]
            async for row in statement.cursor(*given, prefetch=ROWS_AT_ONCE):
                rows.append(tuple(map(_cell, row.values())))
                size += sum(len(cell) for cell in rows[-1] if isinstance(cell, str))
                if len(rows) > self.max_rows or size > MAX_CHARACTERS:
                    raise self._too_large()
        return Result(columns, tuple(rows), _units(query, columns))

    @asynccontextmanager
    async def _transaction(self, dsn: Dsn | None = None) -> AsyncIterator[Connection]:
        """Raise KpiTooSlow, KpiNotComputable, Unavailable instead of Postgres' errors."""
        try:
            connection = await connect(dsn or self.dsn, "kpis-reader")
        except DATABASE_ERRORS as error:
            raise KpisUnavailable from error
        try:
            async with asyncio.timeout(self.timeout_seconds + GRACE_SECONDS):
                async with connection.transaction(readonly=True):
                    await connection.execute(self._limits())
                    yield connection
        except (asyncpg.QueryCanceledError, TimeoutError):
            raise KpiTooSlow(seconds=f"{self.timeout_seconds:g}") from None
        except asyncpg.ConfigurationLimitExceededError:
            raise self._too_large() from None
        except DATABASE_ERRORS as error:
            if str(getattr(error, "sqlstate", "")).startswith(OF_THE_TEMPLATE):
                raise KpiNotComputable(error=str(error)) from None
            raise KpisUnavailable from error
        finally:
            connection.terminate()

    def _too_large(self) -> KpiTooLarge:
        return KpiTooLarge(rows=self.max_rows, columns=MAX_COLUMNS)

    def _limits(self) -> str:
        milliseconds = round(self.timeout_seconds * 1000)
        return f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL search_path = ''"


def _units(query: SafeQuery, columns: Sequence[str]) -> tuple[str, ...]:
    if query.units is not None and len(query.units) == len(columns):
        return query.units
    return tuple(map(unit_of_column, columns))


def _arguments(query: SafeQuery, tenant_id: str, month: str | None) -> Sequence[str | None]:
    if query.needs_month and month is None:
        raise MonthMissing
    return (tenant_id, month)


def _cell(value: Any) -> Cell:
    """Return the value as JSON. Whole numbers stay whole; one that JSON cannot express is null."""
    if isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() > MAX_DIGITS:
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise CellIsNoFigure
