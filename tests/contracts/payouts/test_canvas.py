"""The README says what the code does: endpoints, events, statuses, sandbox ids, settings."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from libs.runtime.settings import ServiceSettings
from services.payouts.domain.bank import Paid, Refused, RetryPolicy, Unanswered
from services.payouts.domain.errors import PayoutNotFailed
from services.payouts.domain.payout import Payout, Status
from services.payouts.infrastructure.consumers import participant
from services.payouts.infrastructure.sandbox_bank import SCENARIOS
from services.payouts.infrastructure.settings import PayoutsSettings
from services.payouts.main import build

ROOT = Path(__file__).parents[3]
CANVAS = (ROOT / "services/payouts/README.md").read_text()


CLAIM = UUID(int=2)


def section(title: str) -> str:
    return re.split(r"^## ", CANVAS.split(f"## {title}")[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(title: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", section(title), flags=re.MULTILINE))


def test_endpoints_are_those_of_the_code() -> None:
    settings = PayoutsSettings(
        _env_file=None, role="api", database_url="postgresql://nobody@localhost/nothing"
    )
    (router,) = build(settings).routers
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert first_column("HTTP in") == served
    assert f"(port {PayoutsSettings.model_fields['port'].default})" in CANVAS


def test_events_are_those_of_the_code() -> None:
    ours = participant()
    heard, stated = (
        set(re.findall(r"^\| `([^`]+)` \|", part, flags=re.MULTILINE))
        for part in section("Events").split("**Events out**")
    )
    assert heard == {reaction.event_type for reaction in ours.reacts_to}
    assert stated == {event.type for event in ours.publishes}


def test_statuses_and_sandbox_ids_are_those_of_the_code() -> None:
    assert first_column("The payout") == set(Status)
    assert first_column("The sandbox bank") == set(SCENARIOS)


def test_the_canvas_shows_where_each_status_leads() -> None:
    shown = re.findall(r"^\| `([A-Z]+)` \| ?(.*?) ?\|$", section("The payout"), flags=re.MULTILINE)
    leads = {status: set(re.findall("[A-Z]{4,}", after)) for status, after in shown}
    assert leads == {status.value: leads_to(status) for status in Status}


def leads_to(status: Status) -> set[str]:
    """Every status that an answer of the bank or a person leads to."""
    policy = RetryPolicy(timedelta(seconds=1), timedelta(seconds=1), tries=1)
    answers = (Paid("ref"), Refused("no", for_good=True), Unanswered("silent"))
    acts: list[Callable[[Payout], object]] = [Payout.retry]
    acts += [partial(Payout.answered, answer=each, claim=CLAIM, policy=policy) for each in answers]
    after = set()
    for act in acts:
        payout = Payout(
            payout_id=UUID(int=1),
            tenant_id="default",
            external_id="bonus-1",
            amount_cents=1,
            status=status,
            attempts=1,
            claim=CLAIM if status is Status.PENDING else None,
        )
        with suppress(PayoutNotFailed):
            act(payout)
        after.add(payout.status.value)
    return after - {status.value}


def test_settings_and_their_defaults_are_those_of_the_code() -> None:
    own = PayoutsSettings.model_fields.keys() - ServiceSettings.model_fields.keys()
    assert first_column("Settings of its own") == {name.upper() for name in own}
    for name, default in re.findall(r"^\| `([A-Z_]+)` \| (\d+)", CANVAS, flags=re.MULTILINE):
        assert PayoutsSettings.model_fields[name.lower()].default == int(default), name


def test_tests_named_for_the_invariants_exist() -> None:
    named = re.findall(r"`(tests/[^`]+)`", section("Invariants"))
    assert named
    assert all((ROOT / name).is_file() for name in named)
