"""People see a KPI's values as a chart with the same values as a table, or as one figure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from services.portal.infrastructure.web.charts import Point

Cell = str | int | float | bool | None

MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
MOST_BARS = 12


@dataclass(frozen=True)
class KpiView:
    """`points` are charted, and empty where a chart says nothing. `units` are those of the columns,
    as kpis states them; `unit` is that of the charted values. `rows` are the charted rows, or more
    where the chart cannot show all. `trouble` says why there is nothing to show.
    """

    id: str
    name: str
    description: str
    columns: Sequence[str] = ()
    units: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    unit: str = ""
    points: Sequence[Point] = ()
    trouble: str = ""


def months_until(last: date, count: int) -> list[str]:
    """Return `count` months, such as `2026-11`, the oldest first. The last is that of `last`."""
    ends = last.year * 12 + last.month - 1
    return [f"{n // 12:04}-{n % 12 + 1:02}" for n in range(ends - count + 1, ends + 1)]


def unit_of(column: str) -> str:
    """Return the unit in a column's name: `cents`, `seconds`, `percent`, or an empty text."""
    return next((unit for unit in ("cents", "seconds", "percent") if column.endswith(unit)), "")


def asks_for_month(kpi: Mapping[str, Any]) -> bool:
    return ":month" in str(kpi["sql_template"])


def is_figure(value: Mapping[str, Any]) -> bool:
    """Return whether the value is one number, which can be shown over months."""
    return len(value["rows"]) == 1 and len(value["rows"][0]) == 1


class Calendar(Protocol):
    """A calendar names months, and the column that holds them, for people."""

    def month(self, month: str) -> str: ...

    def column(self, name: str) -> str: ...


def over_months(
    kpi: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]], calendar: Calendar
) -> KpiView:
    """Return the view of `values`, one number by month, in the form of a Speaker."""
    first = next(iter(values.values()))
    numbers = {
        calendar.month(month): number_in(each["rows"][0][0]) for month, each in values.items()
    }
    points = [Point(month, number) for month, number in numbers.items()]
    return KpiView(
        kpi["id"],
        kpi["name"],
        kpi["description"],
        columns=[calendar.column("month"), *first["columns"]],
        units=["", *first["units"]],
        rows=[[month, number] for month, number in numbers.items()],
        unit=first["units"][0],
        points=points,
    )


def of_rows(kpi: Mapping[str, Any], value: Mapping[str, Any]) -> KpiView:
    """Return a view with a bar for each row, named by its texts, as long as its last number. There
    is no chart where rows have no name, or are too many. `value` is in the form of a Speaker.
    """
    columns, rows = value["columns"], value["rows"]
    points = [_point(row) for row in rows]
    charted = [point for point in points if point is not None]
    drawn = len(charted) == len(rows) and 0 < len(rows) <= MOST_BARS
    return KpiView(
        kpi["id"],
        kpi["name"],
        kpi["description"],
        columns=columns,
        units=value["units"],
        rows=rows,
        unit=value["units"][-1] if columns else "",
        points=charted if drawn else (),
    )


def number_in(cell: Cell) -> float | None:
    """Return the number in a cell, or None. Postgres' decimals arrive as text."""
    if cell is None or isinstance(cell, bool):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _point(row: Sequence[Cell]) -> Point | None:
    words = [cell for cell in row if isinstance(cell, str) and number_in(cell) is None]
    number = number_in(row[-1])
    return Point(" · ".join(words), number) if words and number is not None else None
