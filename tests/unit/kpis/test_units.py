"""The unit of a column follows from the columns it is computed from."""

import pytest

from services.kpis.infrastructure.template import safe_query
from services.kpis.infrastructure.units import unit_of_column


@pytest.mark.parametrize(
    ("template", "units"),
    [
        ("SELECT SUM(amount) FROM sales WHERE month = :month", ["cents"]),
        ("SELECT month, COUNT(*) AS n, AVG(amount) AS mean FROM sales GROUP BY month", None),
        ("SELECT COALESCE(SUM(price), 0) AS total FROM vehicles", ["cents"]),
        ("SELECT ROUND(AVG(s.amount) - MIN(s.amount), 2) FROM sales AS s", ["cents"]),
        ("SELECT SUM(amount) FILTER (WHERE reason IS NULL) FROM purchases", ["cents"]),
        ("SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY seconds) FROM purchases", ["seconds"]),
        ("SELECT CASE WHEN reason IS NULL THEN amount ELSE 0 END FROM purchases", ["cents"]),
        ("SELECT SUM(amount) / 100.0 AS reais FROM sales", [""]),
        ("SELECT SUM(amount) * COUNT(*) FROM sales", [""]),
        ("SELECT COUNT(amount) FROM sales", [""]),
        ("SELECT amount + seconds FROM purchases", [""]),
        ("SELECT 100.0 * COUNT(*) AS percent FROM sales", ["percent"]),
        ("SELECT COUNT(*) AS n_cents FROM sales", ["cents"]),
        ("WITH s AS (SELECT SUM(amount) AS total FROM sales) SELECT total FROM s", ["cents"]),
        ("SELECT x.a FROM (SELECT y.b AS a FROM (SELECT price AS b FROM vehicles) y) x", ["cents"]),
    ],
)  # fmt: skip
def test_the_unit_of_a_column_is_that_of_what_it_is_made_of(
    template: str, units: list[str] | None
) -> None:
    expected = ["", "", "cents"] if units is None else units
    assert list(safe_query(template, 10).units or ()) == expected


def test_columns_that_are_not_written_out_go_by_their_names() -> None:
    assert safe_query("SELECT * FROM sales", 10).units is None
    assert safe_query("SELECT 1" + " + 1" * 900, 10).units is None
    assert [unit_of_column(name) for name in ("amount", "month", "fee_cents", "percent")] == [
        "cents",
        "",
        "cents",
        "percent",
    ]
