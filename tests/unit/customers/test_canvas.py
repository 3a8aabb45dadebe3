"""The service's README says what the code does: endpoints, events, settings, states."""

import re
from pathlib import Path

import services.customers
from libs.messaging.outbox.unit_of_work import Transactions
from services.customers.domain.credit_reservation import Refusal, ReservationState
from services.customers.infrastructure.consumers import participant
from services.customers.infrastructure.erasure_ledger import FileErasureLedger
from services.customers.infrastructure.http import router
from services.customers.infrastructure.postgres import CustomersUnitOfWork
from services.customers.infrastructure.settings import CustomersSettings
from services.customers.infrastructure.tables import IDEMPOTENCY

README = Path(services.customers.__file__).with_name("README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """The first cell of each row of the table under a heading, without its backquotes."""
    section = README.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)


def test_every_endpoint_is_on_the_canvas_and_no_other() -> None:
    transactions: Transactions[CustomersUnitOfWork] = Transactions(None, None, None)  # type: ignore[arg-type]
    routes = router(transactions, IDEMPOTENCY, FileErasureLedger(Path("unused")), 0).routes
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert sorted(rows("HTTP in")) == sorted(served)


def test_every_event_stated_is_on_the_canvas_and_no_other() -> None:
    assert rows("Events out") == [event.type for event in participant().publishes]


def test_every_event_heard_is_on_the_canvas_and_no_other() -> None:
    heard = [reaction.event_type for reaction in participant().reacts_to]
    assert sorted(rows("Events in")) == sorted(heard)


def test_every_setting_of_its_own_is_on_the_canvas_and_no_other() -> None:
    inherited = {name for base in CustomersSettings.__bases__ for name in base.model_fields}  # type: ignore[attr-defined]
    own = [name.upper() for name in CustomersSettings.model_fields if name not in inherited]
    assert rows("Settings of its own") == own


def test_the_canvas_names_every_state_and_every_reason_of_a_refusal() -> None:
    assert all(state in README for state in ReservationState)
    assert all(f"`{reason}`" in README for reason in Refusal)
