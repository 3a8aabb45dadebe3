"""Exchanges, queues and bindings, derived from who publishes what and who reacts to it.

Declared by a step of its own before anything publishes, as a migration is. Services connect as
users who may configure nothing. Nothing here ever deletes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aio_pika
import httpx
from aio_pika.exceptions import AMQPError, ChannelPreconditionFailed

from libs.messaging.saga.choreography import AnyParticipant

QUEUE_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    # Every kill of a consumer counts as a delivery: the limit only stops a crash loop for good.
    "x-delivery-limit": 10_000,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    # RabbitMQ before 3.12 keeps this argument and does not use it.
    "x-consumer-timeout": 12 * 60 * 60 * 1000,
}
DEAD_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 10_000,
    "x-overflow": "reject-publish",
}


class TopologyError(Exception):
    """The broker's declarations cannot be made what they should be; one line says why."""


@dataclass(frozen=True)
class Exchange:
    name: str
    kind: str


@dataclass(frozen=True)
class Queue:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Binding:
    exchange: str
    queue: str
    routing_key: str


@dataclass(frozen=True)
class Topology:
    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]


def dead_queue(service: str) -> str:
    return f"{service}.dead"


def dead_letter_exchange(service: str) -> str:
    return f"{service}.dlx"


def redrive_exchange(service: str) -> str:
    return f"{service}.redrive"


def topology_of(participants: Sequence[AnyParticipant]) -> Topology:
    """What the broker must hold for these participants to hear each other."""
    publishers = _publishers(participants)
    exchanges: list[Exchange] = []
    queues: list[Queue] = []
    bindings: list[Binding] = []
    for participant in participants:
        name = participant.name
        dlx, redrive = dead_letter_exchange(name), redrive_exchange(name)
        exchanges += [Exchange(name, "topic"), Exchange(dlx, "direct"), Exchange(redrive, "direct")]
        queues.append(Queue(dead_queue(name), DEAD_ARGUMENTS))
        for reaction in participant.reacts_to:
            arguments = {
                **QUEUE_ARGUMENTS,
                "x-dead-letter-exchange": dlx,
                "x-dead-letter-routing-key": reaction.queue,
            }
            queues.append(Queue(reaction.queue, arguments))
            bindings += [
                Binding(publisher, reaction.queue, reaction.event_type)
                for publisher in publishers.get(reaction.event_type, ())
            ]
            bindings.append(Binding(redrive, reaction.queue, reaction.queue))
            bindings.append(Binding(dlx, dead_queue(name), reaction.queue))
    return Topology(tuple(exchanges), tuple(queues), tuple(bindings))


def _publishers(participants: Iterable[AnyParticipant]) -> dict[str, list[str]]:
    publishers: dict[str, list[str]] = {}
    for participant in participants:
        for event in participant.publishes:
            publishers.setdefault(event.type, []).append(participant.name)
    return publishers


async def apply(rabbitmq_url: str, topology: Topology) -> None:
    """Declare everything; doing it again changes nothing. Needs a user who may configure.

    Raises TopologyError when the broker cannot be reached or holds a differing declaration.
    """
    try:
        connection = await aio_pika.connect(
            rabbitmq_url, timeout=10, client_properties={"connection_name": "topology"}
        )
        async with connection, connection.channel() as channel:
            await _declare(channel, topology)
    except ChannelPreconditionFailed as error:
        raise TopologyError(f"stopped, nothing was deleted: {_reason(error)}") from None
    except (AMQPError, OSError) as error:
        raise TopologyError(f"cannot declare on RabbitMQ: {_reason(error)}") from None


async def _declare(channel: aio_pika.abc.AbstractChannel, topology: Topology) -> None:
    declared: dict[str, aio_pika.abc.AbstractQueue] = {}
    for exchange in topology.exchanges:
        await channel.declare_exchange(exchange.name, exchange.kind, durable=True)
    for queue in topology.queues:
        declared[queue.name] = await channel.declare_queue(
            queue.name, durable=True, arguments=queue.arguments
        )
    for binding in topology.bindings:
        await declared[binding.queue].bind(binding.exchange, binding.routing_key)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


async def check(management_url: str, vhost: str, topology: Topology) -> list[str]:
    """What is missing or differs on the broker, one line each; empty when all is as it should be.

    Reads the management API (bindings cannot be read over AMQP) and changes nothing.
    """
    place = quote(vhost, safe="")
    try:
        async with httpx.AsyncClient(timeout=10) as http:
            exchanges, queues, bindings = [
                (await http.get(f"{management_url.rstrip('/')}/api/{kind}/{place}"))
                .raise_for_status()
                .json()
                for kind in ("exchanges", "queues", "bindings")
            ]
    except httpx.HTTPError as error:
        raise TopologyError(f"cannot read RabbitMQ's management API: {_reason(error)}") from None
    return [
        *_exchange_problems(topology.exchanges, exchanges),
        *_queue_problems(topology.queues, queues),
        *_binding_problems(topology.bindings, bindings),
    ]


def _exchange_problems(wanted: Sequence[Exchange], found: list[dict[str, Any]]) -> list[str]:
    kinds = {exchange["name"]: exchange["type"] for exchange in found}
    problems = []
    for exchange in wanted:
        if exchange.name not in kinds:
            problems.append(f"exchange {exchange.name}: missing")
        elif kinds[exchange.name] != exchange.kind:
            kind = kinds[exchange.name]
            problems.append(f"exchange {exchange.name}: is {kind}, not {exchange.kind}")
    return problems


def _queue_problems(wanted: Sequence[Queue], found: list[dict[str, Any]]) -> list[str]:
    arguments = {queue["name"]: queue["arguments"] for queue in found}
    problems = []
    for queue in wanted:
        if queue.name not in arguments:
            problems.append(f"queue {queue.name}: missing")
        elif arguments[queue.name] != queue.arguments:
            problems.append(
                f"queue {queue.name}: arguments are {arguments[queue.name]}, not {queue.arguments}"
            )
    return problems


def _binding_problems(wanted: Sequence[Binding], found: list[dict[str, Any]]) -> list[str]:
    bound = {(row["source"], row["destination"], row["routing_key"]) for row in found}
    return [
        f"queue {binding.queue}: not bound to {binding.exchange} by {binding.routing_key}"
        for binding in wanted
        if (binding.exchange, binding.queue, binding.routing_key) not in bound
    ]
