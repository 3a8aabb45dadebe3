"""The protocol of the place where KPIs are kept."""

from collections.abc import Sequence
from typing import Protocol

from services.kpis.domain.kpi import KPI


class KPIRepository(Protocol):
    """A tenant has its own KPIs, and those shipped ones that it has not changed. A changed shipped
    KPI is the tenant's own.
    """

    async def find(self, tenant_id: str, kpi_id: str) -> KPI | None: ...

    async def lock(self, tenant_id: str, kpi_id: str) -> KPI | None:
        """Like `find`, and the row is locked until the transaction ends."""

    async def active(self, tenant_id: str) -> Sequence[KPI]:
        """The active KPIs, ordered by id."""

    async def page(self, tenant_id: str, after: str | None, limit: int) -> Sequence[KPI]:
        """KPIs ordered by id, those after the id `after`."""

    async def add(self, kpi: KPI) -> None:
        """Raises KpiExists when somebody else has just added one with this id."""

    async def save(self, kpi: KPI) -> None:
        """Keep the next version of a locked KPI. Raises StaleVersion when another writer was
        faster.
        """
