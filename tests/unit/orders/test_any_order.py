"""Every purchase ends well under any order of delivery, any duplicates and a cancellation at any
moment. All states are explored, then events that no peer would send together.
"""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.domain.states import ENDED, State
from tests.unit.orders.purchases import may_follow
from tests.unit.orders.world import World, beginning, moves, redelivered

RESTING = {State.COMPLETED, *ENDED}
ACTING = {"PENDING", "PROCESSING", "REFUNDING", "REFUND_FAILED"}
TO_BE_PAID = {"PENDING", "FAILED"}
NOTHING_SOLD: tuple[set[str | None], ...] = (
    {"REFUSED", "RELEASED"},
    {None, "REFUSED", "RELEASED"},
    {None, "FAILED", "EXPIRED", "VOIDED", "REFUNDED"},
)
SOLD: tuple[set[str | None], ...] = ({"CONSUMED"}, {"SOLD"}, {"PROCESSED"})


@pytest.mark.slow
def test_every_reachable_purchase_is_consistent_and_ends() -> None:
    """A state only rises or turns to compensation, and an event consumed once more
    changes nothing.
    """
    first = beginning()
    seen, waiting, twice = {first.key}, [first], set[object]()
    ends: Counter[State] = Counter()
    while waiting:
        world = waiting.pop()
        if world.own not in twice:  # what an event does depends only on the purchase
            twice.add(world.own)
            _check_duplicates(world)
        _check_at_rest(world)
        after = list(moves(world))
        if not after:
            ends[world.purchase.state] += 1
        for what, next_world in after:
            assert may_follow(world.purchase.state, next_world.purchase.state), what
            if next_world.key not in seen:
                seen.add(next_world.key)
                waiting.append(next_world)
    assert set(ends) == ENDED
    assert len(seen) > 7_000


def _check_duplicates(world: World) -> None:
    for fact in world.purchase.history:
        if fact.service != "orders":
            again = redelivered(world, fact.type.removesuffix(".v1"), fact.sequence)
            assert again.key == world.key, fact
            assert again.purchase.history == world.purchase.history, fact


def _check_at_rest(world: World) -> None:
    """Check that all services agree on the state of the purchase when nothing is in flight and
    nobody is about to act.
    """
    if world.in_flight or world.payments[0] in ACTING or world.payouts[0] in TO_BE_PAID:
        return
    purchase = world.purchase
    assert purchase.state in RESTING
    records = (world.customers[0], world.vehicles[0], world.payments[0])
    sold = purchase.state in (State.COMPLETED, State.CLOSED)
    expected = SOLD if sold else NOTHING_SOLD
    assert all(record in allowed for record, allowed in zip(records, expected, strict=True))
    assert world.payouts[0] == ("PAID" if purchase.state is State.CLOSED else None)
    assert not purchase.needs_attention
    if not sold:
        assert (purchase.state is State.CANCELLED) == purchase.cancelled_by_buyer
        assert purchase.reason is not None
    own = [fact.sequence for fact in purchase.history if fact.service == "orders"]
    assert own == list(range(1, len(own) + 1))


EVENTS = [
    "credit.reserved",
    "credit.reservation_failed",
    "credit.released",
    "vehicle.reserved",
    "vehicle.reservation_failed",
    "vehicle.sold",
    "vehicle.sale_failed",
    "vehicle.released",
    "payment.code_generated",
    "payment.code_generation_failed",
    "payment.processed",
    "payment.failed",
    "payment.expired",
    "payment.voided",
    "payment.refunded",
    "payment.refund_failed",
    "payout.completed",
    "payout.failed",
]
HEARD = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 3)), max_size=25)


@given(HEARD)
def test_whatever_is_consumed_the_state_only_rises_turns_round_and_ends(
    consumed: list[tuple[str, int]],
) -> None:
    world = beginning()
    for event, sequence in consumed:
        after = redelivered(world, event, sequence)
        assert may_follow(world.purchase.state, after.purchase.state)
        world = after
    published = Counter(fact.type for fact in world.purchase.history if fact.service == "orders")
    assert set(published.values()) <= {1}
    ended = any(event in ("credit.released", "credit.reservation_failed") for event, _ in consumed)
    assert (world.purchase.state in ENDED) == ended


@given(HEARD, st.randoms())
def test_consuming_everything_again_in_another_order_changes_nothing(
    consumed: list[tuple[str, int]], random: object
) -> None:
    world = beginning()
    for event, sequence in consumed:
        world = redelivered(world, event, sequence)
    settled = world.key
    random.shuffle(consumed)  # type: ignore[attr-defined]
    for event, sequence in consumed:
        world = redelivered(world, event, sequence)
    assert world.key == settled
