"""Implements the repository in memory, because the domain needs nothing else."""

from collections.abc import Sequence

from libs.kernel.errors import StaleVersion
from services.kpis.domain.errors import KpiExists, KpiNotFound
from services.kpis.domain.kpi import EVERY_TENANT, KPI, Status


class MemoryKpis:
    def __init__(self, *shipped: KPI) -> None:
        self.kept = {(kpi.tenant_id, kpi.id): kpi for kpi in shipped}

    async def find(self, tenant_id: str, kpi_id: str) -> KPI | None:
        return self.kept.get((tenant_id, kpi_id)) or self.kept.get((EVERY_TENANT, kpi_id))

    async def get(self, tenant_id: str, kpi_id: str) -> KPI:
        kpi = await self.find(tenant_id, kpi_id)
        if kpi is None:
            raise KpiNotFound
        return kpi

    lock = get

    async def active(self, tenant_id: str) -> Sequence[KPI]:
        found = await self.page(tenant_id, None, len(self.kept))
        return [kpi for kpi in found if kpi.status == Status.ACTIVE]

    async def page(self, tenant_id: str, after: str | None, limit: int) -> Sequence[KPI]:
        ids = sorted({kpi_id for tenant, kpi_id in self.kept if tenant in (tenant_id, "")})
        found = [await self.find(tenant_id, kpi_id) for kpi_id in ids if kpi_id > (after or "")]
        return [kpi for kpi in found if kpi is not None][:limit]

    async def add(self, kpi: KPI) -> None:
        if (kpi.tenant_id, kpi.id) in self.kept:
            raise KpiExists(field="id")
        self.kept[kpi.tenant_id, kpi.id] = kpi

    async def save(self, kpi: KPI) -> None:
        there = self.kept.get((kpi.tenant_id, kpi.id))
        if there is not None and there.version != kpi.version - 1:
            raise StaleVersion
        self.kept[kpi.tenant_id, kpi.id] = kpi
