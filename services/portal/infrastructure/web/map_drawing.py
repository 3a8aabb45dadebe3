"""The drawing of the choreography has a position for each service and event.

Services stand in one row, in the order of a purchase. The way forward runs in lanes above them, the
compensation and the views in lanes below. Edges in one lane stand side by side and never overlap,
so no two labels can meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.messaging.saga.choreography import Choreography
from libs.messaging.saga.reactions import Step
from services.portal.infrastructure.language.i18n import marked

NODE_WIDTH, NODE_HEIGHT = 150, 64
COLUMN = 236
MARGIN = 24
LINE = 17
LANE_GAP = 16
CORNER = 10
SEVERAL, SINGLE = marked("# events"), marked("1 event")
MOST_LINES = 3
"""An edge names at most this number of events. With more, it shows their number."""


@dataclass(frozen=True)
class Edge:
    """An edge has the events that one service consumes from another in one kind of step."""

    source: str
    target: str
    step: Step
    events: tuple[str, ...]

    @property
    def queues(self) -> tuple[str, ...]:
        return tuple(f"{self.target}.on.{event}" for event in self.events)

    @property
    def id(self) -> str:
        return f"{self.source}-{self.target}-{self.step.value}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the label's lines: types of events, or their number (`SEVERAL`, `SINGLE`)."""
        if self.step is Step.VIEW or len(self.events) > MOST_LINES:
            count = len(self.events)
            return (f"{count} events" if count > 1 else "1 event",)
        return self.events


@dataclass(frozen=True)
class Node:
    """`x` and `y` are the upper left corner."""

    name: str
    x: int
    y: int


@dataclass(frozen=True)
class DrawnEdge:
    """`path` is SVG's. The label's lines begin at `label_y` and are centred at `label_x`."""

    edge: Edge
    path: str
    label_x: int
    label_y: int


@dataclass(frozen=True)
class Drawing:
    width: int
    height: int
    nodes: Sequence[Node]
    edges: Sequence[DrawnEdge]


@dataclass
class _Lane:
    """`taken` holds, for each edge of the lane, the columns between which it runs."""

    taken: list[tuple[int, int]] = field(default_factory=list)
    lines: int = 0

    def takes(self, left: int, right: int) -> bool:
        return all(right <= low or left >= high for low, high in self.taken)


def edges_of(choreography: Choreography) -> list[Edge]:
    """Return one edge for each pair of services and kind of step, in the participants' order."""
    found: dict[tuple[str, str, Step], list[str]] = {}
    for publisher in choreography.participants:
        for event in publisher.publishes:
            for consumed in choreography.consumers_of(event.type):
                key = (publisher.name, consumed.service, consumed.step)
                found.setdefault(key, []).append(event.type)
    return [Edge(*key, tuple(events)) for key, events in found.items()]


def draw(names: Sequence[str], edges: Sequence[Edge]) -> Drawing:
    """Draw the services `names` from left to right. Edges of a service to itself are left out."""
    column = {name: place for place, name in enumerate(names)}
    drawn = [edge for edge in edges if edge.source != edge.target]
    above = _lanes([edge for edge in drawn if edge.step is Step.FORWARD], column)
    below = _lanes([edge for edge in drawn if edge.step is not Step.FORWARD], column)
    top = MARGIN + sum(_height(lane) for lane, _ in above) + LANE_GAP
    bottom = top + NODE_HEIGHT
    ports = {**_ports(above, column), **_ports(below, column)}
    result: list[DrawnEdge] = []
    level = top - LANE_GAP
    for lane, members in above:
        result += [_drawn(edge, ports, top, level, label_y=level - 6) for edge in members]
        level -= _height(lane)
    level = bottom + LANE_GAP
    for lane, members in below:
        level += _height(lane)
        result += [_drawn(edge, ports, bottom, level, label_y=level - 6) for edge in members]
    width = 2 * MARGIN + (len(names) - 1) * COLUMN + NODE_WIDTH
    nodes = [Node(name, MARGIN + place * COLUMN, top) for name, place in column.items()]
    return Drawing(width, level + MARGIN, nodes, result)


def _lanes(edges: Sequence[Edge], column: dict[str, int]) -> list[tuple[_Lane, list[Edge]]]:
    """Put edges into lanes: short ones next to the services, long ones further out."""

    def span(edge: Edge) -> int:
        return abs(column[edge.source] - column[edge.target])

    lanes: list[tuple[_Lane, list[Edge]]] = []
    for edge in sorted(edges, key=lambda each: (span(each), each.step.value)):
        left, right = sorted((column[edge.source], column[edge.target]))
        free = next((each for each in lanes if each[0].takes(left, right)), None)
        if free is None:
            free = (_Lane(), [])
            lanes.append(free)
        lane, members = free
        lane.taken.append((left, right))
        lane.lines = max(lane.lines, len(edge.labels))
        members.append(edge)
    return lanes


def _height(lane: _Lane) -> int:
    """Return the height of a label's lines, and of one line below for the figures."""
    return (lane.lines + 1) * LINE + LANE_GAP


def _ports(
    lanes: Sequence[tuple[_Lane, list[Edge]]], column: dict[str, int]
) -> dict[tuple[str, str], int]:
    """Return where each edge begins and ends on its service's side, by (edge, service). Edges to
    the left stand left of those to the right, and outer lanes stand nearer the middle, so that
    edges of one service never cross each other.
    """
    sides: dict[str, list[tuple[bool, int, str]]] = {}
    for number, (_, members) in enumerate(lanes):
        for edge in members:
            for name, other in ((edge.source, edge.target), (edge.target, edge.source)):
                right = column[other] > column[name]
                sides.setdefault(name, []).append((right, -number if right else number, edge.id))
    places: dict[tuple[str, str], int] = {}
    for name, met in sides.items():
        left, gap = MARGIN + column[name] * COLUMN, NODE_WIDTH / (len(met) + 1)
        for number, (_, _, edge_id) in enumerate(sorted(met), start=1):
            places[edge_id, name] = round(left + number * gap)
    return places


def _drawn(
    edge: Edge, ports: dict[tuple[str, str], int], side: int, level: int, *, label_y: int
) -> DrawnEdge:
    """Draw the path, which leaves the source's side, follows the lane and enters the target's side,
    with round corners.
    """
    start, end = ports[edge.id, edge.source], ports[edge.id, edge.target]
    across = CORNER if end > start else -CORNER
    down = CORNER if level > side else -CORNER
    path = (
        f"M{start} {side} V{level - down} Q{start} {level} {start + across} {level}"
        f" H{end - across} Q{end} {level} {end} {level - down} V{side}"
    )
    return DrawnEdge(edge, path, (start + end) // 2, label_y)
