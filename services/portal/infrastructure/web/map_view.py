"""People see the choreography as a drawing, with the broker's figures on its edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.messaging.names import dead_queue
from libs.messaging.saga.choreography import Choreography
from libs.messaging.saga.reactions import Step
from services.portal.infrastructure.peers.management import QueueState
from services.portal.infrastructure.peers.probes import Refusals
from services.portal.infrastructure.web.map_drawing import DrawnEdge, Edge, Node, draw, edges_of


@dataclass(frozen=True)
class Traffic:
    """Traffic is one type of event on its way to one service. `state` is None where the broker does
    not report it. `refused` is the number of messages that the service has given up since it
    started.
    """

    event: str
    edge: Edge
    state: QueueState | None
    refused: int

    @property
    def failing(self) -> bool:
        return self.refused > 0 or (self.state is not None and self.state.redelivered > 0)

    @property
    def moving(self) -> bool:
        return self.state is not None and (self.state.arriving > 0 or self.state.handled > 0)


@dataclass(frozen=True)
class EdgeView:
    drawn: DrawnEdge
    traffic: Sequence[Traffic]

    @property
    def failing(self) -> bool:
        return any(each.failing for each in self.traffic)

    @property
    def moving(self) -> bool:
        return any(each.moving for each in self.traffic)

    @property
    def rate(self) -> float:
        """Return the messages that arrive per second."""
        return sum(each.state.arriving for each in self.traffic if each.state is not None)

    @property
    def depth(self) -> int:
        return sum(each.state.depth for each in self.traffic if each.state is not None)

    @property
    def refused(self) -> int:
        return sum(each.refused for each in self.traffic)


@dataclass(frozen=True)
class NodeView:
    """`dead` is the number of the service's dead letters, or None where the broker does not report
    it. `silent` says that the service does not answer.
    """

    node: Node
    dead: int | None
    silent: bool

    @property
    def failing(self) -> bool:
        return self.silent or bool(self.dead)


@dataclass(frozen=True)
class MapView:
    """`table` has every event, also those that the drawing leaves out. A service without an edge is
    left out of the map.
    """

    width: int
    height: int
    nodes: Sequence[NodeView]
    edges: Sequence[EdgeView]
    table: Sequence[Traffic]


def map_view(
    choreography: Choreography,
    queues: Mapping[str, QueueState],
    refusals: Refusals,
    *,
    with_views: bool,
) -> MapView:
    """Return the map. A value missing from `queues`, which are by name, or `refusals` is None."""
    edges = edges_of(choreography)
    shown = [edge for edge in edges if with_views or edge.step is not Step.VIEW]
    named = {name for edge in shown for name in (edge.source, edge.target)}
    drawing = draw([each.name for each in choreography.participants if each.name in named], shown)
    dead = {name: queues.get(dead_queue(name)) for name in (n.name for n in drawing.nodes)}

    def traffic(edge: Edge) -> list[Traffic]:
        return [
            Traffic(event, edge, queues.get(queue), refusals.counts.get(queue, 0))
            for event, queue in zip(edge.events, edge.queues, strict=True)
        ]

    return MapView(
        width=drawing.width,
        height=drawing.height,
        nodes=[
            NodeView(
                node,
                state.depth if (state := dead[node.name]) else None,
                node.name in refusals.silent,
            )
            for node in drawing.nodes
        ],
        edges=[EdgeView(drawn, traffic(drawn.edge)) for drawn in drawing.edges],
        table=[each for edge in edges for each in traffic(edge)],
    )
