"""A shipped KPI is stored as a row of the tenant '' until a tenant changes its copy."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.kernel.errors import StaleVersion
from services.kpis.domain.errors import KpiExists, KpiNotFound
from services.kpis.domain.kpi import EVERY_TENANT, KPI, Status
from services.kpis.infrastructure.tables import kpis


class PostgresKpis:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, tenant_id: str, kpi_id: str) -> KPI | None:
        return await self._one(_candidates(tenant_id, kpi_id))

    async def get(self, tenant_id: str, kpi_id: str) -> KPI:
        return _present(await self.find(tenant_id, kpi_id))

    async def lock(self, tenant_id: str, kpi_id: str) -> KPI:
        return _present(await self._one(_candidates(tenant_id, kpi_id).with_for_update()))

    async def active(self, tenant_id: str) -> Sequence[KPI]:
        own = _visible(tenant_id).subquery()
        return await self._many(select(own).where(own.c.status == Status.ACTIVE).order_by(own.c.id))

    async def page(self, tenant_id: str, after: str | None, limit: int) -> Sequence[KPI]:
        query = _visible(tenant_id).limit(limit)
        return await self._many(query if after is None else query.where(kpis.c.id > after))

    async def add(self, kpi: KPI) -> None:
        row = insert(kpis).values(asdict(kpi)).on_conflict_do_nothing()
        if (await self._connection.execute(row.returning(kpis.c.id))).first() is None:
            raise KpiExists(field="id")

    async def save(self, kpi: KPI) -> None:
        row = insert(kpis).values(asdict(kpi))
        saved = row.on_conflict_do_update(
            index_elements=[kpis.c.tenant_id, kpis.c.id],
            set_={name: row.excluded[name] for name in asdict(kpi)},
            where=kpis.c.version == row.excluded.version - 1,
        ).returning(kpis.c.id)
        if (await self._connection.execute(saved)).first() is None:
            raise StaleVersion

    async def _one(self, query: Select[Any]) -> KPI | None:
        row = (await self._connection.execute(query)).mappings().first()
        return None if row is None else KPI(**row)

    async def _many(self, query: Select[Any]) -> Sequence[KPI]:
        return [KPI(**row) for row in (await self._connection.execute(query)).mappings()]


def _present(kpi: KPI | None) -> KPI:
    if kpi is None:
        raise KpiNotFound
    return kpi


def _candidates(tenant_id: str, kpi_id: str) -> Select[Any]:
    """Select the KPIs of this id, the tenant's own before the shipped one."""
    seen = kpis.c.tenant_id.in_((tenant_id, EVERY_TENANT))
    query = select(kpis).where(seen, kpis.c.id == kpi_id)
    return query.order_by(kpis.c.tenant_id.desc()).limit(1)


def _visible(tenant_id: str) -> Select[Any]:
    """Select KPIs ordered by id, each once: the tenant's own instead of the shipped one."""
    seen = kpis.c.tenant_id.in_((tenant_id, EVERY_TENANT))
    by_id = select(kpis).ext(distinct_on(kpis.c.id)).where(seen)
    return by_id.order_by(kpis.c.id, kpis.c.tenant_id.desc())
