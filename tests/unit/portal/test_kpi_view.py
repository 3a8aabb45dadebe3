"""KPIs are shown as tables, and also as charts where their rows can be charted."""

import re
from datetime import date
from pathlib import Path
from typing import Any

from services.portal.infrastructure.web.kpi_view import (
    asks_for_month,
    is_figure,
    months_until,
    of_rows,
    over_months,
    unit_of,
)
from services.portal.infrastructure.web.kpi_words import SHIPPED, Speaker

KPI: dict[str, Any] = {
    "id": "conversion",
    "name": "Conversion",
    "description": "",
    "sql_template": "SELECT 1 AS percent FROM purchases WHERE month = :month",
}


def value(*rows: list[Any], columns: tuple[str, ...] = ("percent",)) -> dict[str, Any]:
    return {"columns": columns, "units": [unit_of(name) for name in columns], "rows": list(rows)}


def test_months_go_back_over_the_turn_of_the_year() -> None:
    assert months_until(date(2026, 2, 5), 4) == ["2025-11", "2025-12", "2026-01", "2026-02"]


def test_one_figure_a_month_becomes_a_bar_a_month_with_gaps_where_there_is_none() -> None:
    assert asks_for_month(KPI)
    assert is_figure(value([50]))
    view = over_months(KPI, {"2026-10": value([None]), "2026-11": value(["62.5"])}, Speaker("en"))
    assert view.rows == [["Oct 2026", None], ["Nov 2026", 62.5]]
    assert (view.columns, view.units) == (["Month", "percent"], ["", "percent"])
    assert [point.value for point in view.points] == [None, 62.5]
    assert view.unit == "percent"


def test_columns_months_and_words_are_said_in_the_readers_language() -> None:
    answer = {
        "columns": ["month", "outcome", "reason", "make", "amount_cents", "n_of_things"],
        "units": ["", "", "", "", "cents", ""],
        "rows": [["2026-11", "cancelled", "cancelled_by_buyer", "sold", 100, 1]],
    }
    said = Speaker("pt")(answer)
    assert said["columns"] == ["Mês", "Resultado", "Motivo", "Marca", "Valor", "n of things"]
    assert said["rows"] == [["nov. de 2026", "cancelada", "O comprador desistiu.", "sold", 100, 1]]
    assert said["units"] == answer["units"]
    assert Speaker("en")({"columns": ["fee_cents"], "rows": []})["units"] == ["cents"]


def test_the_names_of_the_shipped_kpis_are_translated() -> None:
    """`SHIPPED` in the portal's web/kpi_words.py is compared with what kpis ships."""
    versions = Path(__file__).parents[3] / "services/kpis/infrastructure/migrations/versions"
    first = (versions / "0001_initial.py").read_text()
    shipped = re.findall(r'^        "([A-Z][^"]+)",$', first, flags=re.MULTILINE)
    replaced = re.findall(
        r'described\("([^"]+)"\)', (versions / "0003_business_months.py").read_text()
    )
    newest, old = replaced
    assert [newest if text == old else text for text in shipped if "SELECT" not in text] == list(
        SHIPPED
    )


def test_rows_with_names_become_bars_of_their_last_number() -> None:
    columns = ("outcome", "reason", "purchases")
    view = of_rows(KPI, value(["failed", "expired", 3], ["cancelled", None, 1], columns=columns))
    found = [(point.label, point.value) for point in view.points]
    assert found == [("failed · expired", 3), ("cancelled", 1)]


def test_rows_that_cannot_be_charted_stay_a_table() -> None:
    one_row = of_rows(KPI, value([7, 900], columns=("vehicles", "price_cents")))
    many = of_rows(KPI, value(*([str(n), n] for n in range(50)), columns=("id", "n")))
    assert one_row.points == ()
    assert many.points == ()
    assert len(many.rows) == 50


def test_the_unit_stands_in_the_columns_name() -> None:
    assert [unit_of(name) for name in ("amount_cents", "seconds", "percent", "sales")] == [
        "cents",
        "seconds",
        "percent",
        "",
    ]
