"""Services consume every pair of events in both orders, where both can occur."""

from collections import Counter

from tests.simulation.machine import Story
from tests.simulation.orders_seen import OrdersSeen
from tests.simulation.pairs import Pair
from tests.simulation.running import every_stage

NEVER = (
    "never consumed in this order: add a stage to tests/simulation/stages.py that leads to it, or"
    " say in IMPOSSIBLE of the service's part why it cannot occur"
)
LATE_COMPLETION = Pair("customers", "vehicle.released.v1", "order.completed.v1")
CLOSED_FIRST = Pair("customers", "order.closed.v1", "order.confirmed.v1")


def test_every_pair_of_events_that_can_come_in_both_orders_is_consumed_in_both() -> None:
    story = Story()
    every_stage(story)
    seen = OrdersSeen.of(story.seen)
    never = "\n".join(map(str, seen.missing))
    assert not seen.missing, f"{NEVER}:\n{never}"
    assert [str(pair) for pair in seen.contradicted] == []


def test_a_pair_that_was_never_consumed_in_one_order_is_named() -> None:
    pairs = OrdersSeen.of(Counter()).pairs
    seen = OrdersSeen.of(Counter(dict.fromkeys(pairs, 1)) - Counter({LATE_COMPLETION: 1}))
    assert seen.missing == [LATE_COMPLETION]
    assert {"seen": 0, "impossible": None}.items() <= _data_of(seen, LATE_COMPLETION).items()


def test_a_pair_that_is_listed_as_impossible_and_occurs_is_named() -> None:
    seen = OrdersSeen.of(Counter({CLOSED_FIRST: 1}))
    assert seen.contradicted == [CLOSED_FIRST]
    assert _data_of(seen, CLOSED_FIRST)["impossible"] == "customers must have reserved the credit"


def _data_of(seen: OrdersSeen, pair: Pair) -> dict[str, object]:
    return next(
        row
        for row in seen.data()
        if (row["service"], row["earlier"], row["later"])
        == (pair.service, pair.earlier, pair.later)
    )
