"""The service's README says what the code does: endpoints, events, views, KPIs, settings."""

import re
from importlib import import_module
from pathlib import Path

from libs.runtime.settings import ServiceSettings
from services.kpis.infrastructure.consumers import participant
from services.kpis.infrastructure.published_views import VIEWS
from services.kpis.infrastructure.settings import KpisSettings
from services.kpis.main import build

ROOT = Path(__file__).parents[3]
CANVAS = (ROOT / "services/kpis/README.md").read_text()
FIRST = import_module("services.kpis.infrastructure.migrations.versions.0001_initial")


def section(title: str) -> str:
    return re.split(r"^## ", CANVAS.split(f"## {title}")[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(title: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section(title), flags=re.MULTILINE)


def test_endpoints_are_those_of_the_code() -> None:
    nowhere = "postgresql://nobody@localhost/nothing"
    settings = KpisSettings(
        _env_file=None, role="api", database_url=nowhere, reader_database_url=nowhere
    )
    (router,) = build(settings).routers
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert set(first_column("HTTP in")) == served
    assert f"(port {KpisSettings.model_fields['port'].default})" in CANVAS


def test_events_are_those_of_the_code() -> None:
    assert set(first_column("Events in")) == set(participant().reactions.by_event)
    assert participant().publishes == ()


def test_shipped_kpis_are_those_of_the_first_migration() -> None:
    assert first_column("Shipped KPIs") == [kpi[0] for kpi in FIRST.SHIPPED]


def test_views_and_their_columns_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", section("The published"), flags=re.MULTILINE
    )
    assert {view: tuple(re.findall(r"\w+", columns)) for view, columns in rows} == VIEWS


def test_settings_and_their_defaults_are_those_of_the_code() -> None:
    own = KpisSettings.model_fields.keys() - ServiceSettings.model_fields.keys()
    assert set(first_column("Settings of its own")) == {name.upper() for name in own}
    for name, default in re.findall(r"^\| `([A-Z_]+)` \| (\d+);", CANVAS, flags=re.MULTILINE):
        assert KpisSettings.model_fields[name.lower()].default == int(default), name


def test_tests_named_for_the_invariants_exist() -> None:
    named = re.findall(r"`(tests/[^`]+)`", section("Invariants"))
    assert named
    assert all((ROOT / name).is_file() for name in named)
