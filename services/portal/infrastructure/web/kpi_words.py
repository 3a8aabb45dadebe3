"""People read these names of shipped KPIs, of columns, and of values in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from babel.dates import format_skeleton, get_timezone_location

from services.portal.infrastructure.language import i18n
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.web import wording
from services.portal.infrastructure.web.kpi_view import MONTH, Cell, unit_of

SHIPPED = (
    marked("Monthly sales"),
    marked("The total of the month's sales."),
    marked("Sales per month"),
    marked("How many vehicles were sold in each month, and for how much."),
    marked("Conversion"),
    marked("Of the purchases that ended in the month, how many in a hundred ended in a sale."),
    marked("Median time to purchase"),
    marked("From the order to the sale: half of the month's sales were quicker."),
    marked("Cancellations by reason"),
    marked("Purchases of the month that were cancelled or failed, and why."),
    marked("Payouts due"),
    marked("What sellers have not been paid yet: vehicles picked up, payouts not completed."),
    marked("Vehicles for sale"),
    marked("How many vehicles are for sale now, and what they cost together."),
    marked("New customers"),
    marked("Customers who registered in the month."),
)
"""These are the names and descriptions of the KPIs that kpis ships."""

COLUMNS = {
    "month": marked("Month"),
    "sum": marked("Total"),
    "amount": marked("Amount"),
    "price": marked("Price"),
    "sales": marked("Sales"),
    "purchases": marked("Purchases"),
    "payouts": marked("Payouts"),
    "vehicles": marked("Vehicles"),
    "customers": marked("Customers"),
    "percent": marked("Percent"),
    "seconds": marked("Duration"),
    "outcome": marked("Outcome"),
    "reason": marked("Reason"),
    "status": marked("State"),
    "make": marked("Make"),
    "model": marked("Model"),
    "year": marked("Year"),
    "count": marked("Number"),
    "avg": marked("Mean"),
    "min": marked("Least"),
    "max": marked("Most"),
}
"""A column has this name for people, by its own name without the unit."""

VALUES = {
    "sold": marked("sold"),
    "cancelled": marked("cancelled"),
    "failed": marked("failed"),
    "due": marked("due"),
    "paid": marked("paid"),
    "for_sale": marked("for sale"),
    "withdrawn": marked("withdrawn"),
}
SPOKEN = frozenset({"outcome", "status"})
"""The system's words in these columns are translated. Others hold a make or a model."""


@dataclass(frozen=True)
class Speaker:
    """A speaker puts the answers of kpis into one language."""

    locale: str

    def __call__(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of a KPI with its columns and texts in the language of people."""
        columns = value["columns"]
        return {
            **value,
            "units": value.get("units") or [unit_of(name) for name in columns],
            "columns": [self.column(name) for name in columns],
            "rows": [
                [self.cell(name, cell) for name, cell in zip(columns, row, strict=True)]
                for row in value["rows"]
            ],
        }

    def column(self, name: str) -> str:
        plain = name.removesuffix("_cents")
        return i18n.translated(COLUMNS.get(plain, plain.replace("_", " ")), self.locale)

    def cell(self, column: str, cell: Cell) -> Cell:
        if not isinstance(cell, str):
            return cell
        if column == "month" and MONTH.fullmatch(cell):
            return self.month(cell)
        if column == "reason":
            return i18n.translated(wording.reason(cell, of_another=True), self.locale)
        return i18n.translated(VALUES.get(cell, cell), self.locale) if column in SPOKEN else cell

    def month(self, month: str) -> str:
        """Return `Nov 2026` for `2026-11`."""
        first = date.fromisoformat(f"{month}-01")
        return format_skeleton("yMMM", first, locale=i18n.REGIONS[self.locale])

    def zone(self, name: str) -> str:
        """Return `Brazil (São Paulo) Time` for `America/Sao_Paulo`."""
        return get_timezone_location(name, locale=i18n.REGIONS[self.locale])
