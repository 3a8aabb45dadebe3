"""Participants that break a rule of the choreography are reported, and the drawing
shows them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest

from libs.kernel.events import Direction, DomainEvent
from libs.messaging.envelope import EventData
from libs.messaging.saga import pictures, rules
from libs.messaging.saga.choreography import ChoreographyError, choreography_of
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import PurchaseEvent


class Purchase(EventData):
    order_id: UUID


@dataclass(frozen=True, kw_only=True)
class Placed(PurchaseEvent):
    type: ClassVar[str] = "order.placed.v1"


@dataclass(frozen=True, kw_only=True)
class Reserved(PurchaseEvent):
    type: ClassVar[str] = "credit.reserved.v1"


@dataclass(frozen=True, kw_only=True)
class Cancelled(PurchaseEvent):
    type: ClassVar[str] = "order.cancelled.v1"
    direction = Direction.COMPENSATION


async def reserve_credit_when_order_placed(*_: object) -> None: ...
async def release_credit_when_order_cancelled(*_: object) -> None: ...
async def note(*_: object) -> None: ...


def orders(
    publishes: tuple[type[DomainEvent], ...] = (Placed, Cancelled),
    consumes: Sequence[str] = ("credit.reserved.v1",),
    unconsumed: Sequence[str] = (),
) -> Participant:
    on = Reactions[Any]("orders")
    for event_type in consumes:
        on.view(event_type, Purchase)(note)
    return Participant("orders", publishes, on, frozenset(unconsumed))


def credit(
    undone_by: Sequence[str] = ("order.cancelled.v1",), *, goes_back: bool = True
) -> Participant:
    on = Reactions[Any]("credit")
    on.forward("order.placed.v1", Purchase, compensated_by=undone_by)(
        reserve_credit_when_order_placed
    )
    register = on.backward if goes_back else on.view
    register("order.cancelled.v1", Purchase)(release_credit_when_order_cancelled)
    return Participant("credit", (Reserved,), on)


def check(participants: Sequence[Participant]) -> list[str]:
    return rules.check(choreography_of(participants))


def test_services_that_fit_together_have_no_problems() -> None:
    assert check([orders(), credit()]) == []


def test_an_event_nobody_reacts_to_has_to_be_declared_final() -> None:
    deaf = orders(consumes=())
    assert check([deaf, credit()]) == [
        "credit: nobody reacts to credit.reserved.v1, and it is not declared unconsumed"
    ]


def test_a_final_event_somebody_reacts_to_is_a_problem() -> None:
    assert check([orders(unconsumed=["order.placed.v1"]), credit()]) == [
        "orders: order.placed.v1 is declared unconsumed, but somebody reacts to it"
    ]


def test_a_final_event_its_service_does_not_publish_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"order\.lost\.v1 is declared unconsumed, but orders does not"
    ):
        orders(unconsumed=["order.lost.v1"])


def test_a_compensation_on_an_event_that_is_declared_a_step_on_is_a_problem() -> None:
    on = Reactions[Any]("credit")
    on.backward("order.placed.v1", Purchase)(note)
    forward = Participant("credit", (), on)
    assert check([orders(consumes=(), publishes=(Placed,)), forward]) == [
        "credit: goes backward on order.placed.v1, which orders does not declare a compensation"
    ]


def test_a_reaction_that_waits_for_an_event_nobody_publishes_is_a_problem() -> None:
    waits = orders(consumes=["credit.reserved.v1", "credit.lost.v1"])
    assert check([waits, credit()]) == ["orders: waits for credit.lost.v1, which nobody publishes"]


def test_a_forward_step_without_a_compensation_is_a_problem() -> None:
    assert check([orders(), credit(undone_by=())]) == [
        "credit: the step on order.placed.v1 has no compensation"
    ]


def test_an_irrevocable_step_needs_no_compensation_and_is_drawn_as_forward() -> None:
    on = Reactions[Any]("payouts")
    on.irrevocable("order.placed.v1", Purchase)(note)
    payouts = Participant("payouts", (), on)
    assert check([orders(consumes=(), publishes=(Placed,)), payouts]) == []
    assert 'orders ==>|"order.placed"| payouts' in pictures.drawing(
        choreography_of([orders(), payouts])
    )


def test_reactions_that_share_a_handler_say_each_for_itself_what_they_do() -> None:
    on = Reactions[Any]("credit")
    on.forward("order.placed.v1", Purchase, compensated_by=[], does="reserve credit")(note)
    on.backward("order.cancelled.v1", Purchase, does="release credit")(note)
    on.view("order.closed.v1", Purchase)(note)
    (credit,) = choreography_of([Participant("credit", (), on)]).participants
    assert [each.does for each in credit.consumes] == ["reserve credit", "release credit", "note"]
    assert [each.does for each in on.by_event.values()] == [each.does for each in credit.consumes]


def test_a_compensation_that_is_declared_a_view_is_a_problem() -> None:
    assert check([orders(), credit(goes_back=False)]) == [
        "credit: the step on order.placed.v1 is undone by order.cancelled.v1, "
        "but nothing goes backward on it there"
    ]


def test_a_compensation_on_an_event_nobody_publishes_is_a_problem() -> None:
    problems = check([orders(publishes=(Placed,)), credit()])
    assert (
        "credit: the step on order.placed.v1 is undone by order.cancelled.v1, "
        "which nobody publishes"
    ) in problems


def test_the_drawing_distinguishes_forward_backward_and_view() -> None:
    both = choreography_of([orders(), credit()])
    drawing = pictures.drawing(both)
    assert 'orders ==>|"order.placed"| credit' in drawing
    assert 'orders -->|"order.cancelled"| credit' in drawing
    assert 'credit -.->|"credit.reserved"| orders' in drawing
    table = pictures.table(both)
    assert "| `order.placed.v1` | orders | credit: reserve credit (forward) |" in table


def test_the_canvas_shows_what_goes_in_and_out_of_one_service() -> None:
    both = choreography_of([orders(), credit()])
    canvas = pictures.canvas(both.participants[1], both)
    assert "| `order.cancelled.v1` | orders | backward | release credit |" in canvas
    assert "| `credit.reserved.v1` | orders: note (view) |" in canvas


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = f"before\n{pictures.BEGIN}\nold\n{pictures.END}\nafter\n"
    changed = pictures.with_section(text, "new", "README.md")
    assert changed == (f"before\n{pictures.BEGIN}\n\nnew\n\n{pictures.END}\nafter\n")
    assert pictures.with_section(changed, "new", "README.md") == changed


def test_a_file_without_markers_is_a_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ChoreographyError, match=r"README\.md has no section between"):
        pictures.with_section("text", "new", "README.md")
    with pytest.raises(ChoreographyError, match="No such file"):
        pictures.sections(choreography_of([orders()]), tmp_path)
