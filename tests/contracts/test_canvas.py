"""Each service's README says what its code does: endpoints, events, settings, tests."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.participant import Participant
from libs.runtime.settings import ServiceSettings
from tests.contracts.canvas import ROOT, canvas_of, events, first_column, section
from tests.fixtures.documents import built, settings_type_of

EACH = pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)


@EACH
def test_endpoints_are_those_of_the_code(spec: ServiceSpec, tmp_path: Path) -> None:
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for router in built(spec.name, tmp_path).routers
        for route in router.routes
        if route.include_in_schema  # type: ignore[attr-defined]
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert set(first_column(section(spec.name, "HTTP in"))) == served
    assert f"## HTTP in (port {spec.port})" in canvas_of(spec.name)


@EACH
def test_events_are_those_of_the_code(spec: ServiceSpec) -> None:
    consumers = import_module(f"services.{spec.name}.infrastructure.consumers")
    participant: Participant = consumers.participant()
    assert events(spec.name, "in") == {each.event_type for each in participant.reacts_to}
    assert events(spec.name, "out") == {event.type for event in participant.publishes}


@EACH
def test_settings_and_their_defaults_are_those_of_the_code(spec: ServiceSpec) -> None:
    fields = settings_type_of(spec.name).model_fields
    own = fields.keys() - ServiceSettings.model_fields.keys()
    shown = section(spec.name, "Settings of its own")
    assert set(first_column(shown)) == {name.upper() for name in own}
    for name, default in re.findall(r"^\| `([A-Z_]+)` \| (\d+)", shown, flags=re.MULTILINE):
        assert fields[name.lower()].default == int(default), name


def test_tests_named_on_a_canvas_exist() -> None:
    named = {
        name for spec in SERVICES for name in re.findall(r"`(tests/[^`:]+)", canvas_of(spec.name))
    }
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
