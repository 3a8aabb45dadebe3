"""The use cases of KPIs know only the repository's protocol, not the database."""

from collections.abc import Sequence
from typing import Any

from services.kpis.application.ports import KPIRepository
from services.kpis.domain.errors import KpiExists
from services.kpis.domain.kpi import KPI


class KpiService:
    def __init__(self, repository: KPIRepository) -> None:
        self._repository = repository

    async def get_active_kpis(self, tenant_id: str) -> Sequence[KPI]:
        return await self._repository.active(tenant_id)

    async def get_kpi(self, tenant_id: str, kpi_id: str) -> KPI:
        """Return the KPI. Raises KpiNotFound."""
        return await self._repository.get(tenant_id, kpi_id)

    async def define_kpi(self, kpi: KPI) -> KPI:
        """Add a KPI of the tenant. Raises KpiExists, for the id of a shipped KPI too."""
        if await self._repository.find(kpi.tenant_id, kpi.id) is not None:
            raise KpiExists(field="id")
        await self._repository.add(kpi)
        return kpi

    async def change_kpi(
        self, *, tenant_id: str, kpi_id: str, expected_version: int, changes: dict[str, Any]
    ) -> KPI:
        """Return the KPI after the changes. Raises KpiNotFound, StaleVersion."""
        kpi = await self._repository.lock(tenant_id, kpi_id)
        kpi.check_version(expected_version)
        changed = kpi.changed(changes, tenant_id)
        if changed != kpi:
            await self._repository.save(changed)
        return changed
