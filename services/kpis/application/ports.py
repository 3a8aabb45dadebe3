"""What the use cases need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from services.kpis.domain.fact import Fact
from services.kpis.domain.kpi_repository import KPIRepository

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Result:
    """The result of a KPI: names of columns, rows with one cell for each column, and the unit of
    each column's numbers: `cents`, `seconds`, `percent`, or an empty text.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    units: tuple[str, ...] = ()


class Evaluator(Protocol):
    """Runs untrusted templates over one tenant's part of the published views."""

    async def check(self, sql_template: str) -> None:
        """Raises UnsafeTemplate, or KpiNotComputable where Postgres does not know a name."""

    async def evaluate(self, sql_template: str, tenant_id: str, month: str | None) -> Result:
        """Raises UnsafeTemplate, MonthMissing, KpiNotComputable, KpiTooSlow, KpiTooLarge."""


class FactLog(Protocol):
    def add(self, fact: Fact) -> None:
        """Keep the fact, and fold it into the read model, when the unit of work ends."""

    async def subjects(self, after: UUID | None, limit: int) -> Sequence[UUID]:
        """The distinct subjects of the facts, in order, those after `after`."""

    async def of(self, subjects: Sequence[UUID]) -> Sequence[Fact]:
        """All facts about these subjects."""


class ReadModel(Protocol):
    async def forget(self, subjects: Sequence[UUID]) -> None: ...

    async def fold(self, facts: Sequence[Fact]) -> None:
        """Fold facts into the read model. Any order and any repetition give the same result."""

    async def forget_what_no_fact_says(self) -> None: ...


class KpisUnitOfWork(Protocol):
    @property
    def kpis(self) -> KPIRepository: ...

    @property
    def facts(self) -> FactLog: ...

    @property
    def read_model(self) -> ReadModel: ...
