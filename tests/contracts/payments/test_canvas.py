"""The service's README says what the code does: endpoints, events, states, tokens, settings."""

import re
from pathlib import Path

from libs.runtime.settings import ServiceSettings
from services.payments.domain.payment import State
from services.payments.infrastructure.consumers import participant
from services.payments.infrastructure.sandbox_gateway import SCENARIOS
from services.payments.infrastructure.settings import PaymentsSettings
from services.payments.main import build

ROOT = Path(__file__).parents[3]
CANVAS = (ROOT / "services/payments/README.md").read_text()


def section(title: str) -> str:
    return re.split(r"^## ", CANVAS.split(f"## {title}")[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(title: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", section(title), flags=re.MULTILINE))


def test_endpoints_are_those_of_the_code() -> None:
    settings = PaymentsSettings(
        _env_file=None, role="api", database_url="postgresql://nobody@localhost/nothing"
    )
    (router,) = build(settings).routers
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert first_column("HTTP in") == served
    assert f"(port {PaymentsSettings.model_fields['port'].default})" in CANVAS


def test_events_are_those_of_the_code() -> None:
    payments = participant()
    assert first_column("Events out") == {event.type for event in payments.publishes}
    assert first_column("Events in") == set(payments.reactions.by_event)


def test_states_and_tokens_are_those_of_the_code() -> None:
    assert set(re.findall(r"\b[A-Z_]{4,}\b", section("Events in"))) == set(State)
    assert first_column("The sandbox gateway") == set(SCENARIOS)


def test_settings_and_their_defaults_are_those_of_the_code() -> None:
    own = PaymentsSettings.model_fields.keys() - ServiceSettings.model_fields.keys()
    assert first_column("Settings of its own") == {name.upper() for name in own}
    for name, default in re.findall(r"^\| `([A-Z_]+)` \| (\d+)", CANVAS, flags=re.MULTILINE):
        assert PaymentsSettings.model_fields[name.lower()].default == int(default), name


def test_tests_named_for_the_invariants_exist() -> None:
    named = re.findall(r"`(tests/[^`]+)`", section("Invariants"))
    assert named
    assert all((ROOT / name).is_file() for name in named)
