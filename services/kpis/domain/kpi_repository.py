"""Where KPIs are kept, as the domain sees it."""

from collections.abc import Sequence
from typing import Protocol

from services.kpis.domain.kpi import KPI


class KPIRepository(Protocol):
    """A tenant has its own KPIs and the shipped ones it has not made its own by changing them."""

    async def find(self, tenant_id: str, kpi_id: str) -> KPI | None: ...

    async def lock(self, tenant_id: str, kpi_id: str) -> KPI | None:
        """Like `find`, and nobody else changes it until we are done."""

    async def active(self, tenant_id: str) -> Sequence[KPI]:
        """By id."""

    async def page(self, tenant_id: str, after: str | None, limit: int) -> Sequence[KPI]:
        """By id, those behind the id `after`."""

    async def add(self, kpi: KPI) -> None:
        """Raises KpiExists when somebody else has just added one of this id."""

    async def save(self, kpi: KPI) -> None:
        """Keep the next version of a locked KPI. Raises StaleVersion when another was faster."""
