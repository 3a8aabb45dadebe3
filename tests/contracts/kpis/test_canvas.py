"""The canvas of kpis names the shipped KPIs and the published views."""

import re
from importlib import import_module

from services.kpis.infrastructure.published_views import VIEWS
from tests.contracts.canvas import first_column, section

FIRST = import_module("services.kpis.infrastructure.migrations.versions.0001_initial")


def test_shipped_kpis_are_those_of_the_first_migration() -> None:
    assert first_column(section("kpis", "Shipped KPIs")) == [kpi[0] for kpi in FIRST.SHIPPED]


def test_views_and_their_columns_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|",
        section("kpis", "The published"),
        flags=re.MULTILINE,
    )
    assert {view: tuple(re.findall(r"\w+", columns)) for view, columns in rows} == VIEWS
