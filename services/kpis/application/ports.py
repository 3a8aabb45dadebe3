"""The use cases need these ports: the repositories, the read model and the evaluator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from services.kpis.domain.fact import Fact
from services.kpis.domain.kpi import KPI

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Result:
    """The result of a KPI has names of columns, rows with one cell for each column, and the unit of
    each column's numbers: `cents`, `seconds`, `percent`, or an empty text.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    units: tuple[str, ...] = ()


class Evaluator(Protocol):
    """An evaluator runs untrusted templates over one tenant's part of the published views."""

    async def check(self, sql_template: str) -> None:
        """Raise UnsafeTemplate, or KpiNotComputable where Postgres does not know a name."""

    async def evaluate(self, sql_template: str, tenant_id: str, month: str | None) -> Result:
        """Return the result. Raises UnsafeTemplate, MonthMissing, KpiNotComputable, KpiTooSlow,
        KpiTooLarge.
        """


class FactLog(Protocol):
    def add(self, fact: Fact) -> None:
        """Keep the fact, and fold it into the read model, when the unit of work ends."""

    async def subjects(self, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Return the distinct subjects of facts after the subject `after`, in order."""

    async def of(self, subjects: Sequence[UUID]) -> Sequence[Fact]:
        """Return all facts about these subjects."""


class ReadModel(Protocol):
    async def forget(self, subjects: Sequence[UUID]) -> None: ...

    async def fold(self, facts: Sequence[Fact]) -> None:
        """Fold facts into the read model. Any order and any repetition give the same result."""

    async def forget_what_no_fact_says(self) -> None: ...


class KPIRepository(Protocol):
    """A tenant has its own KPIs, and those shipped ones that it has not changed. A shipped KPI that
    the tenant has changed is its own.
    """

    async def find(self, tenant_id: str, kpi_id: str) -> KPI | None: ...

    async def get(self, tenant_id: str, kpi_id: str) -> KPI:
        """Return the KPI. Raises KpiNotFound."""

    async def lock(self, tenant_id: str, kpi_id: str) -> KPI:
        """Return the same as `get`, and lock the row until the transaction ends."""

    async def active(self, tenant_id: str) -> Sequence[KPI]:
        """Return the active KPIs, ordered by id."""

    async def page(self, tenant_id: str, after: str | None, limit: int) -> Sequence[KPI]:
        """Return KPIs after the id `after`, ordered by id."""

    async def add(self, kpi: KPI) -> None:
        """Insert the KPI. Raises KpiExists when another writer has just added this id."""

    async def save(self, kpi: KPI) -> None:
        """Store the next version of a locked KPI. Raises StaleVersion for a second writer."""


class KpisUnitOfWork(Protocol):
    @property
    def kpis(self) -> KPIRepository: ...

    @property
    def facts(self) -> FactLog: ...

    @property
    def read_model(self) -> ReadModel: ...
