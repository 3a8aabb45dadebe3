"""The rules between participants, and the picture drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest

from libs.kernel.events import DomainEvent
from libs.messaging.envelope import View
from libs.messaging.inbox.reactions import Reactions
from libs.messaging.saga import choreography
from libs.messaging.saga.participant import Participant
from services.events import PurchaseEvent


class Purchase(View):
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


async def reserve_credit_when_order_placed(*_: object) -> None: ...
async def release_credit_when_order_cancelled(*_: object) -> None: ...
async def note(*_: object) -> None: ...


def orders(
    publishes: tuple[type[DomainEvent], ...] = (Placed, Cancelled),
    hears: Sequence[str] = ("credit.reserved.v1",),
    final: Sequence[str] = (),
) -> Participant:
    on = Reactions[Any]("orders")
    for event_type in hears:
        on.view(event_type, Purchase)(note)
    return Participant("orders", publishes, on, frozenset(final))


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


def test_services_that_fit_together_have_no_problems() -> None:
    assert choreography.check([orders(), credit()]) == []


def test_an_event_nobody_reacts_to_has_to_be_declared_final() -> None:
    deaf = orders(hears=())
    assert choreography.check([deaf, credit()]) == [
        "credit: nobody reacts to credit.reserved.v1, and it is not declared final"
    ]


def test_a_final_event_somebody_reacts_to_is_a_problem() -> None:
    assert choreography.check([orders(final=["order.placed.v1"]), credit()]) == [
        "orders: order.placed.v1 is declared final, but somebody reacts to it"
    ]


def test_a_final_event_its_service_does_not_publish_is_a_problem() -> None:
    assert choreography.check([orders(final=["order.lost.v1"]), credit()]) == [
        "orders: order.lost.v1 is declared final, but orders does not publish it"
    ]


def test_a_reaction_that_waits_for_an_event_nobody_publishes_is_a_problem() -> None:
    waits = orders(hears=["credit.reserved.v1", "credit.lost.v1"])
    assert choreography.check([waits, credit()]) == [
        "orders: waits for credit.lost.v1, which nobody publishes"
    ]


def test_a_forward_step_without_a_way_back_is_a_problem() -> None:
    assert choreography.check([orders(), credit(undone_by=())]) == [
        "credit: the step on order.placed.v1 has no way back"
    ]


def test_a_step_that_is_never_undone_needs_no_way_back_and_is_drawn_as_forward() -> None:
    on = Reactions[Any]("payouts")
    on.irrevocable("order.placed.v1", Purchase)(note)
    payouts = Participant("payouts", (), on)
    assert choreography.check([orders(hears=(), publishes=(Placed,)), payouts]) == []
    assert 'orders ==>|"order.placed"| payouts' in choreography.picture([orders(), payouts])


def test_a_way_back_that_only_looks_on_is_a_problem() -> None:
    assert choreography.check([orders(), credit(goes_back=False)]) == [
        "credit: the step on order.placed.v1 is undone by order.cancelled.v1, "
        "but nothing goes backward on it there"
    ]


def test_a_way_back_on_an_event_nobody_publishes_is_a_problem() -> None:
    problems = choreography.check([orders(publishes=(Placed,)), credit()])
    assert (
        "credit: the step on order.placed.v1 is undone by order.cancelled.v1, "
        "which nobody publishes"
    ) in problems


def test_the_drawing_tells_forward_backward_and_view_apart() -> None:
    drawing = choreography.picture([orders(), credit()])
    assert 'orders ==>|"order.placed"| credit' in drawing
    assert 'orders -->|"order.cancelled"| credit' in drawing
    assert 'credit -.->|"credit.reserved"| orders' in drawing
    assert "| `order.placed.v1` | orders | credit: reserve credit (forward) |" in drawing


def test_the_canvas_shows_what_goes_in_and_out_of_one_service() -> None:
    canvas = choreography.canvas(credit(), [orders(), credit()])
    assert "| `order.cancelled.v1` | orders | backward | release credit |" in canvas
    assert "| `credit.reserved.v1` | orders: note (view) |" in canvas


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = f"before\n{choreography.BEGIN}\nold\n{choreography.END}\nafter\n"
    changed = choreography.with_section(text, "new", "README.md")
    assert changed == (f"before\n{choreography.BEGIN}\n\nnew\n\n{choreography.END}\nafter\n")
    assert choreography.with_section(changed, "new", "README.md") == changed


def test_a_file_without_markers_is_a_clear_line(tmp_path: Path) -> None:
    with pytest.raises(choreography.ChoreographyError, match=r"README\.md has no section between"):
        choreography.with_section("text", "new", "README.md")
    with pytest.raises(choreography.ChoreographyError, match="No such file"):
        choreography.sections([orders()], tmp_path)
