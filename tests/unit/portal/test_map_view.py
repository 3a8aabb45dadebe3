"""The map shows the broker's figures of each queue on its edge."""

from libs.messaging.saga.choreography import read
from libs.messaging.saga.reactions import Step
from libs.runtime.settings import CHOREOGRAPHY
from services.portal.infrastructure.peers.management import QueueState
from services.portal.infrastructure.peers.probes import Refusals
from services.portal.infrastructure.web.map_view import EdgeView, MapView, map_view

QUEUE = "payments.on.vehicle.reserved.v1"
BUSY = QueueState(
    QUEUE, ready=3, unacknowledged=2, consumers=1, arriving=1.5, handled=1, redelivered=0
)
DEAD = QueueState("vehicles.dead-letters", 4, 0, 0, 0, 0, 0)


def view(
    *states: QueueState, refused: int = 0, silent: str = "", with_views: bool = False
) -> MapView:
    queues = {state.name: state for state in states}
    refusals = Refusals({QUEUE: refused}, frozenset({silent}))
    return map_view(read(CHOREOGRAPHY), queues, refusals, with_views=with_views)


def edge(shown: MapView) -> EdgeView:
    (found,) = [each for each in shown.edges if QUEUE in each.drawn.edge.queues]
    return found


def test_an_edge_carries_its_queues_rate_and_depth() -> None:
    shown = edge(view(BUSY))
    assert (shown.rate, shown.depth, shown.refused) == (1.5, 5, 0)
    assert shown.moving
    assert not shown.failing


def test_an_edge_whose_service_gave_messages_up_is_failing() -> None:
    assert edge(view(BUSY, refused=2)).failing
    assert edge(view(refused=2)).refused == 2


def test_dead_letters_stand_on_their_service() -> None:
    dead = {each.node.name: each.dead for each in view(DEAD).nodes}
    assert dead["vehicles"] == 4
    assert dead["payments"] is None  # the broker does not say


def test_a_service_that_does_not_answer_looks_as_if_it_does_not() -> None:
    failing = {each.node.name for each in view(silent="vehicles").nodes if each.failing}
    assert failing == {"vehicles"}


def test_views_are_drawn_when_asked_for_and_always_in_the_table() -> None:
    steps, all_of_it = view(), view(with_views=True)
    assert {each.drawn.edge.step for each in steps.edges} == {Step.FORWARD, Step.BACKWARD}
    assert len(all_of_it.edges) > len(steps.edges)
    reactions = sum(len(each.consumes) for each in read(CHOREOGRAPHY).participants)
    assert len(steps.table) == len(all_of_it.table) == reactions
