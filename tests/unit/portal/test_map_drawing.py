"""The parts of the drawing of the choreography do not overlap."""

import re
from itertools import combinations

import pytest

from libs.messaging.saga.choreography import read
from libs.messaging.saga.reactions import Step
from libs.runtime.settings import CHOREOGRAPHY
from services.portal.infrastructure.web.map_drawing import (
    NODE_WIDTH,
    Drawing,
    Edge,
    draw,
    edges_of,
)


@pytest.fixture(scope="module")
def edges() -> list[Edge]:
    return edges_of(read(CHOREOGRAPHY))


@pytest.fixture(scope="module")
def drawing(edges: list[Edge]) -> Drawing:
    names = [each.name for each in read(CHOREOGRAPHY).participants]
    return draw(names, [edge for edge in edges if edge.step is not Step.VIEW])


def test_every_reaction_of_every_service_is_on_an_edge(edges: list[Edge]) -> None:
    participants = read(CHOREOGRAPHY).participants
    queues = {reaction.queue for each in participants for reaction in each.consumes}
    assert {queue for edge in edges for queue in edge.queues} == queues


def test_forward_edges_run_above_the_services_and_backward_ones_below(drawing: Drawing) -> None:
    top = drawing.nodes[0].y
    for each in drawing.edges:
        assert (each.label_y < top) == (each.edge.step is Step.FORWARD), each.edge.id


def test_no_two_edges_share_a_lane_between_the_same_columns(drawing: Drawing) -> None:
    for one, other in combinations(drawing.edges, 2):
        if one.label_y == other.label_y:
            (a, b), (c, d) = _reach(one.path), _reach(other.path)
            assert b <= c or d <= a, (one.edge.id, other.edge.id)


def test_every_edge_begins_and_ends_at_a_place_of_its_own(drawing: Drawing) -> None:
    ends = [
        (x, each.edge.step is Step.FORWARD) for each in drawing.edges for x in _reach(each.path)
    ]
    assert len(ends) == len(set(ends))
    spans = [(node.x, node.x + NODE_WIDTH) for node in drawing.nodes]
    assert all(any(left < x < right for left, right in spans) for x, _ in ends)


def test_all_of_it_lies_within_the_drawing(drawing: Drawing) -> None:
    numbers = [int(n) for each in drawing.edges for n in re.findall(r"V(\d+)", each.path)]
    assert 0 < min(numbers) < max(numbers) < drawing.height
    assert max(node.x + NODE_WIDTH for node in drawing.nodes) < drawing.width


def test_an_edge_of_many_events_says_how_many() -> None:
    few = Edge("a", "b", Step.FORWARD, ("order.confirmed.v1",))
    many = Edge("a", "b", Step.BACKWARD, tuple(f"payment.bad{n}.v1" for n in range(5)))
    assert few.labels == ("order.confirmed.v1",)
    assert many.labels == ("5 events",)
    assert many.queues[0] == "b.on.payment.bad0.v1"


def test_a_service_that_consumes_itself_needs_no_edge() -> None:
    assert draw(["a"], [Edge("a", "a", Step.VIEW, ("x.v1",))]).edges == []


def _reach(path: str) -> tuple[int, int]:
    start = int(re.findall(r"M(\d+)", path)[0])
    end = int(re.findall(r"Q(\d+)", path)[-1])
    return min(start, end), max(start, end)
