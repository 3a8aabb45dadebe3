"""The service's README says what the code does: endpoints, events, states, indexes, settings."""

import re
from pathlib import Path

from libs.runtime.crypto import new_key
from libs.runtime.settings import ServiceSettings
from services.vehicles.domain.reservation import State
from services.vehicles.infrastructure.consumers import participant
from services.vehicles.infrastructure.settings import VehiclesSettings
from services.vehicles.infrastructure.tables import metadata
from services.vehicles.main import build

CANVAS = (Path(__file__).parents[3] / "services/vehicles/README.md").read_text()


def section(title: str) -> str:
    return re.split(r"^## ", CANVAS.split(f"## {title}")[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(title: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", section(title), flags=re.MULTILINE))


def test_endpoints_are_those_of_the_code() -> None:
    settings = VehiclesSettings(
        _env_file=None,
        role="api",
        database_url="postgresql://nobody@localhost/nothing",
        data_keys=f"k1:{new_key()}",
        index_key=new_key(),
    )
    (router,) = build(settings).routers
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert first_column("HTTP in") == served
    assert f"(port {VehiclesSettings.model_fields['port'].default})" in CANVAS


def test_events_are_those_of_the_code() -> None:
    assert first_column("Events out") == {event.type for event in participant().publishes}
    assert first_column("Events in") == set(participant().reactions.by_event)


def test_states_indexes_and_settings_are_those_of_the_code() -> None:
    assert set(re.findall(r"\b[A-Z_]{4,}\b", section("Events in"))) == set(State)
    indexes = {str(index.name) for table in metadata.sorted_tables for index in table.indexes}
    named = set(re.findall(r"`(\w+_(?:holds_a_vehicle|once_on_market))`", CANVAS))
    assert named == {name for name in indexes if name.endswith(("vehicle", "once_on_market"))}
    own = VehiclesSettings.model_fields.keys() - ServiceSettings.model_fields.keys()
    assert first_column("Settings of its own") == {name.upper() for name in own}
