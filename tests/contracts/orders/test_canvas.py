"""The canvas of orders names every state of a purchase and its next states."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from libs.kernel.errors import Conflict
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import FORWARD, State
from tests.contracts.canvas import canvas_of
from tests.unit.orders.purchases import NOW, SELLER, fact, in_state


def test_the_canvas_shows_every_state_and_where_it_leads() -> None:
    shown = re.findall(
        r"^\| `([A-Z_]+)` \| ?([A-Z_, ]*?) ?\|", canvas_of("orders"), flags=re.MULTILINE
    )
    expected = [(state.value, ", ".join(leads_to(state))) for state in State]
    assert shown == expected


def leads_to(state: State) -> list[State]:
    """Return every next state of `state`, by any event or action, in the order of the canvas."""
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
    *(partial(Purchase.reach, state=step, fact=HEARD) for step in FORWARD[:-1]),
    partial(Purchase.complete, seller_id=SELLER, fact=HEARD, now=NOW),
    partial(Purchase.turn_back, reason=None, fact=HEARD),
    partial(Purchase.end, reason=None, fact=HEARD, now=NOW),
    partial(Purchase.cancel, now=NOW),
    partial(Purchase.close, now=NOW),
]
