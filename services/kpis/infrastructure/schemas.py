"""These are the bodies that clients send and get."""

from typing import Annotated

from pydantic import Field, field_validator

from libs.runtime.field_errors import fault, rule
from libs.runtime.schemas import Body, Changes, Out
from services.kpis.application.ports import Cell
from services.kpis.domain.errors import KpiIdTaken
from services.kpis.domain.kpi import Status
from services.kpis.infrastructure.template import MAX_LENGTH, checked_template

Id = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$", examples=["kpi_001"])]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Description = Annotated[str, Field(max_length=500)]
Template = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_LENGTH,
        description="One SELECT over the published views; `:month` is the month asked for.",
        examples=["SELECT SUM(amount) FROM sales WHERE month = :month"],
    ),
    rule(checked_template),
]
Owner = Annotated[str, Field(min_length=1, max_length=100)]


class KpiIn(Body):
    id: Id
    name: Name
    description: Description = ""
    sql_template: Template
    owner: Owner | None = None
    """Without a name, the owner is the caller who defines the KPI."""
    status: Status = Status.ACTIVE

    @field_validator("id")
    @classmethod
    def _free(cls, value: str) -> str:
        if value in ("active", "views"):
            raise fault(KpiIdTaken())
        return value


class KpiChanges(Changes):
    name: Name | None = None
    description: Description | None = None
    sql_template: Template | None = None
    owner: Owner | None = None
    status: Status | None = None


class KpiOut(Out):
    id: str
    name: str
    description: str
    sql_template: str
    owner: str
    status: Status
    version: int


class KpiList(Out):
    items: list[KpiOut]


class ActiveKpis(KpiList):
    """The months are those of the calendar in `time_zone`."""

    time_zone: str


class KpiPage(KpiList):
    """`next` is the cursor of the next page, null on the last one."""

    next: str | None


class ValueOut(Out):
    """`value` is the one cell of a result that has one. `units` says for each column whether its
    numbers are `cents`, `seconds`, `percent`, or have no known unit.
    """

    id: str
    name: str
    month: str | None
    value: Cell
    columns: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class TrialIn(Body):
    sql_template: Template
    month: Annotated[
        str | None, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2026-11"])
    ] = None


class TrialOut(Out):
    """The fields have the same meaning as in `ValueOut`."""

    columns: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class ViewOut(Out):
    """A template may name the columns of this published view."""

    name: str
    columns: tuple[str, ...]


class ViewList(Out):
    items: list[ViewOut]
