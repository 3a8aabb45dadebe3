"""Makes a service with only views of the sample's shop, on a broker that bounds its queues."""

from dataclasses import replace
from urllib.parse import urlsplit

from libs.messaging import topology
from libs.messaging.envelope import Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from libs.messaging.topology import Topology
from services.events import TENANT
from tests.fixtures.servers import RabbitMQServer
from tests.integration.messaging import sample
from tests.integration.messaging.sample import CreditUnitOfWork, OrderPlacedView

VIEW = "figures.on.order.placed.v1"
KEPT = "figures.on.order.lost.v1"
OVERFLOW = "figures.overflow"
DEAD = "figures.dead-letters"


async def note(unit: CreditUnitOfWork, event: Received[OrderPlacedView]) -> None:
    await unit.reserve(event.data.order_id, event.data.total_cents)


def figures() -> Participant:
    """Return a service that notes what it consumes. One of its two types is never dropped."""
    on = Reactions[CreditUnitOfWork]("figures", extensions=(TENANT,))
    on.view("order.placed.v1", OrderPlacedView)(note)
    on.view("order.lost.v1", OrderPlacedView, kept=True)(note)
    return Participant("figures", publishes=(), reactions=on)


def bounded(most_bytes: int) -> Topology:
    """Return the topology with this bound instead of the usual one."""
    wanted = topology.topology_of([sample.shop(), figures()])
    policies = tuple(replace(each, most_bytes=most_bytes) for each in wanted.policies)
    return replace(wanted, policies=policies)


async def applied(vhost: str, server: RabbitMQServer, wanted: Topology) -> None:
    await topology.apply(vhost, wanted)
    await topology.apply_policies(server.management_url, name_of(vhost), wanted)


def name_of(vhost: str) -> str:
    return urlsplit(vhost).path.removeprefix("/")
