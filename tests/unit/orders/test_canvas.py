"""The service's README says what the code does: endpoints, events, states, settings."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import services.orders
from libs.kernel.errors import Conflict
from libs.messaging.saga.pictures import BEGIN, END
from libs.runtime.settings import ServiceSettings
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import FORWARD, State
from services.orders.infrastructure.consumers import participant
from services.orders.infrastructure.settings import OrdersSettings
from services.orders.main import build
from tests.unit.orders.purchases import DEADLINES, NOW, SELLER, fact, in_state

README = Path(services.orders.__file__ or "").with_name("README.md").read_text(encoding="utf-8")
SETTINGS = OrdersSettings(
    _env_file=None,
    database_url="postgresql://nobody@localhost/nothing",
    role="api",
)


def first_column(text: str) -> list[str]:
    """The first cell of each row of the tables in a text, without its backquotes."""
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


def section(heading: str) -> list[str]:
    return first_column(README.split(f"## {heading}", 1)[1].split("\n## ", 1)[0])


def test_every_endpoint_is_on_the_canvas_and_no_other() -> None:
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for router in build(SETTINGS).routers
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert sorted(section("HTTP in")) == sorted(served)


def test_every_event_heard_and_stated_is_on_the_canvas_and_no_other() -> None:
    events = first_column(README.partition(BEGIN)[2].partition(END)[0])
    ours = participant()
    heard = [reaction.event_type for reaction in ours.reacts_to]
    assert events == heard + [event.type for event in ours.publishes]


def test_the_canvas_shows_every_state_and_where_it_leads() -> None:
    shown = re.findall(r"^\| `([A-Z_]+)` \| ?([A-Z_, ]*?) ?\|", README, flags=re.MULTILINE)
    expected = [(state.value, ", ".join(leads_to(state))) for state in State]
    assert shown == expected


def leads_to(state: State) -> list[State]:
    """Every state that any event or act leads to from `state`, in the order of the canvas."""
    after = set()
    for cancelled in [False, True] if state is State.COMPENSATING else [False]:
        for act in ACTS:
            purchase = in_state(state)
            purchase.cancelled_by_buyer = cancelled
            with suppress(Conflict):
                act(purchase)
            after.add(purchase.state)
    return [each for each in State if each in after - {state}]


HEARD = fact("vehicle.released.v1")
ACTS: list[Callable[[Purchase], object]] = [
    *(
        partial(Purchase.reach, state=step, fact=HEARD, deadlines=DEADLINES)
        for step in FORWARD[:-1]
    ),
    partial(Purchase.complete, seller_id=SELLER, fact=HEARD, now=NOW, deadlines=DEADLINES),
    partial(Purchase.turn_back, reason=None, fact=HEARD, deadlines=DEADLINES),
    partial(Purchase.end, reason=None, fact=HEARD, now=NOW, deadlines=DEADLINES),
    partial(Purchase.cancel, now=NOW, deadlines=DEADLINES),
    partial(Purchase.close, now=NOW, deadlines=DEADLINES),
]


def test_every_setting_of_its_own_is_on_the_canvas_and_no_other() -> None:
    own = [name for name in OrdersSettings.model_fields if name not in ServiceSettings.model_fields]
    assert section("Settings of its own") == [name.upper() for name in own]
