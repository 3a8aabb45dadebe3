"""Exchanges, queues and bindings follow from who publishes what and who reacts to it.

A separate step declares them before anything publishes, as a migration is. Services connect as
users who may configure nothing. Only `prune` deletes, and only what is empty and no longer wanted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelPreconditionFailed

from libs.messaging.broker_url import BrokerUrlError, connect_to_any, parse_management_url
from libs.messaging.dead_letters.moving import move_dead_letters
from libs.messaging.names import (
    dead_letter_exchange,
    dead_queue,
    former_dead_queue,
    redrive_exchange,
)
from libs.messaging.saga.choreography import AnyParticipant
from libs.messaging.view_queues import (
    OVERFLOW_ARGUMENTS,
    Policy,
    overflow_queue,
    policy_name,
    policy_problems,
    unwanted_policies,
    view_queues,
)

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
    # Each read of the dead letters counts as a delivery. Without this argument RabbitMQ 4 drops a
    # message after 20 reads; with -1, which is no limit there, RabbitMQ 3 drops it after the first.
    # This number holds on both: one read a second reaches it in 68 years.
    "x-delivery-limit": 2**31 - 1,
    "x-overflow": "reject-publish",
}
REFRESH_SECONDS = 15.0
"""A queue counts its messages every five seconds, and the management API collects the counts every
five seconds. After this time its figures are new; five seconds are a margin.
"""


class TopologyError(Exception):
    """The broker's declarations cannot be made what they should be. One line says why."""


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
    """`participants` own every name on the broker that begins with theirs."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    participants: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()


def topology_of(participants: Sequence[AnyParticipant]) -> Topology:
    """Return what the broker must hold for these participants to reach each other."""
    publishers = _publishers(participants)
    exchanges: list[Exchange] = []
    queues: list[Queue] = []
    bindings: list[Binding] = []
    policies: list[Policy] = []
    for participant in participants:
        name, dead = participant.name, dead_queue(participant.name)
        dlx, redrive = dead_letter_exchange(name), redrive_exchange(name)
        exchanges += [Exchange(name, "topic"), Exchange(dlx, "direct"), Exchange(redrive, "direct")]
        queues.append(Queue(dead, DEAD_ARGUMENTS))
        bindings.append(Binding(dlx, dead, dead))
        bounded = view_queues(participant)
        if bounded:
            queues.append(Queue(overflow_queue(name), OVERFLOW_ARGUMENTS))
            policies.append(Policy(policy_name(name), bounded))
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
            dropped = overflow_queue(name) if reaction.queue in bounded else dead
            bindings.append(Binding(dlx, dropped, reaction.queue))
    names = tuple(participant.name for participant in participants)
    return Topology(tuple(exchanges), tuple(queues), tuple(bindings), names, tuple(policies))


def _publishers(participants: Iterable[AnyParticipant]) -> dict[str, list[str]]:
    publishers: dict[str, list[str]] = {}
    for participant in participants:
        for event in participant.publishes:
            publishers.setdefault(event.type, []).append(participant.name)
    return publishers


async def apply(rabbitmq_url: str, topology: Topology) -> int:
    """Declare everything but policies; doing it again changes nothing. The user needs the right to
    configure. Returns how many dead letters came out of queues of an earlier version.

    Raises TopologyError when the broker cannot be reached or holds a differing declaration.
    """
    try:
        async with await _connected(rabbitmq_url) as connection:
            async with connection.channel() as channel:
                await _declare(channel, topology)
            return await _move_former_dead_letters(connection, topology)
    except ChannelPreconditionFailed as error:
        raise TopologyError(f"stopped, nothing was deleted: {_reason(error)}") from None
    except (AMQPError, OSError) as error:
        raise TopologyError(f"cannot declare on RabbitMQ: {_reason(error)}") from None


async def _connected(rabbitmq_url: str) -> AbstractConnection:
    return await connect_to_any(
        rabbitmq_url,
        partial(aio_pika.connect, timeout=10, client_properties={"connection_name": "topology"}),
    )


async def _declare(channel: AbstractChannel, topology: Topology) -> None:
    declared: dict[str, AbstractQueue] = {}
    for exchange in topology.exchanges:
        await channel.declare_exchange(exchange.name, exchange.kind, durable=True)
    for queue in topology.queues:
        declared[queue.name] = await channel.declare_queue(
            queue.name, durable=True, arguments=queue.arguments
        )
    for binding in topology.bindings:
        await declared[binding.queue].bind(binding.exchange, binding.routing_key)
    for service in topology.participants:
        for key in _dropped_keys(topology, service):  # an earlier version made dead letters of them
            await declared[dead_queue(service)].unbind(dead_letter_exchange(service), key)


def _dropped_keys(topology: Topology, service: str) -> list[str]:
    return [each.routing_key for each in topology.bindings if each.queue == overflow_queue(service)]


async def _move_former_dead_letters(connection: AbstractConnection, topology: Topology) -> int:
    count = 0
    for service in topology.participants:
        new, exchange = dead_queue(service), dead_letter_exchange(service)
        keys = [each.routing_key for each in topology.bindings if each.exchange == exchange]
        old = former_dead_queue(service)
        count += await move_dead_letters(connection, old, new, exchange, keys)
    return count


async def apply_policies(management_url: str, vhost: str, topology: Topology) -> None:
    """Bound the queues of views, and no others; doing it again changes nothing. This comes after
    `apply`, so that dropped messages are reported from the first one on.

    Raises TopologyError when the management API cannot be reached or refuses.
    """
    found = await _read(management_url, vhost)
    async with _management(management_url, vhost) as request:
        for policy in topology.policies:
            await request("PUT", f"policies/VHOST/{quote(policy.name)}", json=policy.as_json())
        for name in unwanted_policies(topology.policies, topology.participants, found.policies):
            await request("DELETE", f"policies/VHOST/{quote(name)}")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@dataclass(frozen=True)
class _Broker:
    """These are the management API's answers about a vhost."""

    exchanges: list[dict[str, Any]]
    queues: list[dict[str, Any]]
    bindings: list[dict[str, Any]]
    policies: list[dict[str, Any]]


@asynccontextmanager
async def _management(
    management_url: str, vhost: str
) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Yield a function that sends requests to the management API, where VHOST in a path is that
    vhost, and returns the JSON that comes back.
    """
    import httpx  # a service's process loads this module, and never calls this

    try:
        management = parse_management_url(management_url)
        async with httpx.AsyncClient(
            verify=management.trusted(), timeout=10, trust_env=False
        ) as http:

            async def request(method: str, path: str, **content: Any) -> Any:
                url = f"{management.url}/api/{path.replace('VHOST', quote(vhost, safe=''))}"
                answer = (await http.request(method, url, **content)).raise_for_status()
                return answer.json() if answer.content else None

            yield request
    except (httpx.HTTPError, OSError, BrokerUrlError) as error:
        raise TopologyError(f"cannot use RabbitMQ's management API: {_reason(error)}") from None


async def _read(management_url: str, vhost: str) -> _Broker:
    kinds = ("exchanges", "queues", "bindings", "policies")
    async with _management(management_url, vhost) as request:
        return _Broker(*[await request("GET", f"{kind}/VHOST") for kind in kinds])


async def check(management_url: str, vhost: str, topology: Topology) -> list[str]:
    """Say what is missing, differs or is no longer wanted on the broker, one line each; empty when
    all is as it should be.

    This reads the management API (bindings cannot be read over AMQP) and changes nothing.
    """
    found = await _read(management_url, vhost)
    return [
        *_exchange_problems(topology.exchanges, found.exchanges),
        *_queue_problems(topology.queues, found.queues),
        *_binding_problems(topology.bindings, found.bindings),
        *policy_problems(topology.policies, topology.participants, found.policies),
        *_unwanted(topology, found).lines(),
    ]


@dataclass(frozen=True)
class _Unwanted:
    """These bear the name of a participant, are on the broker, and are not in the topology.

    A binding is named by itself only where its queue and its exchange stay.
    """

    queues: list[dict[str, Any]]
    exchanges: list[str]
    bindings: list[Binding]

    def lines(self) -> list[str]:
        return [
            *(
                f"queue {each['name']}: no longer wanted, holds {_held(each)}"
                for each in self.queues
            ),
            *(f"exchange {name}: no longer wanted" for name in self.exchanges),
            *(
                f"queue {each.queue}: no longer wanted to be bound to {each.exchange} "
                f"by {each.routing_key}"
                for each in self.bindings
            ),
        ]


def _held(queue: dict[str, Any]) -> str:
    """Say how many messages are ready or unacknowledged. A new queue has no figures yet."""
    count = queue.get("messages", 0)
    return "1 message" if count == 1 else f"{count} messages"


def _unwanted(topology: Topology, found: _Broker) -> _Unwanted:
    def ours(name: str) -> bool:
        return any(name == own or name.startswith(f"{own}.") for own in topology.participants)

    wanted_queues = {queue.name for queue in topology.queues}
    wanted_exchanges = {exchange.name for exchange in topology.exchanges}
    wanted_bindings = set(topology.bindings)
    bindings = [
        Binding(row["source"], row["destination"], row["routing_key"])
        for row in found.bindings
        if row["destination_type"] == "queue" and row["source"]
    ]
    return _Unwanted(
        queues=[
            queue
            for queue in found.queues
            if ours(queue["name"])
            and queue["name"] not in wanted_queues
            and not queue.get("exclusive")
        ],
        exchanges=[
            each["name"]
            for each in found.exchanges
            if ours(each["name"]) and each["name"] not in wanted_exchanges
        ],
        bindings=[
            binding
            for binding in bindings
            if binding.queue in wanted_queues
            and binding.exchange in wanted_exchanges
            and binding not in wanted_bindings
        ],
    )


@dataclass(frozen=True)
class Pruned:
    """`gone` has one line for each thing deleted, `kept` one for each that stays in use."""

    gone: list[str]
    kept: list[str]


async def unwanted(management_url: str, vhost: str, topology: Topology) -> list[str]:
    """Say what `prune` would look at, one line each."""
    return _unwanted(topology, await _read(management_url, vhost)).lines()


async def prune(rabbitmq_url: str, management_url: str, vhost: str, topology: Topology) -> Pruned:
    """Delete what is no longer wanted: bindings, queues that hold nothing and that nobody consumes,
    exchanges that nothing is bound to. Raises TopologyError where the broker refuses.

    RabbitMQ has no "delete if empty" for quorum queues. So a queue is unbound first, and deleted
    when it is still empty after the broker has counted again; else it is bound again.
    """
    found = await _read(management_url, vhost)
    old = _unwanted(topology, found)
    try:
        async with await _connected(rabbitmq_url) as connection:
            channel = await connection.channel()
            for binding in old.bindings:
                await _unbind(channel, binding)
            empty = [queue["name"] for queue in old.queues if not _in_use(queue)]
            bound = {name: _bindings_of(name, found) for name in empty}
            for name in empty:
                for binding in bound[name]:
                    await _unbind(channel, binding)
            if empty:
                await asyncio.sleep(REFRESH_SECONDS)
            again = {row["name"]: row for row in (await _read(management_url, vhost)).queues}
            for name in empty:
                if name in again and await _is_empty(channel, again[name]):
                    await channel.queue_delete(name)
                else:
                    for binding in bound[name]:
                        queue = await channel.get_queue(name, ensure=False)
                        await queue.bind(binding.exchange, binding.routing_key)
            sources = {row["source"] for row in (await _read(management_url, vhost)).bindings}
            for name in old.exchanges:
                if name not in sources:
                    await channel.exchange_delete(name, if_unused=True)
    except (AMQPError, OSError) as error:
        raise TopologyError(f"cannot prune on RabbitMQ: {_reason(error)}") from None
    left = await unwanted(management_url, vhost, topology)
    return Pruned([line for line in old.lines() if line not in left], left)


def _in_use(queue: dict[str, Any]) -> bool:
    return bool(queue.get("messages", 0) or queue.get("consumers", 0))


def _bindings_of(queue: str, found: _Broker) -> list[Binding]:
    return [
        Binding(row["source"], queue, row["routing_key"])
        for row in found.bindings
        if row["destination"] == queue and row["destination_type"] == "queue" and row["source"]
    ]


async def _unbind(channel: AbstractChannel, binding: Binding) -> None:
    queue = await channel.get_queue(binding.queue, ensure=False)
    await queue.unbind(binding.exchange, binding.routing_key)


async def _is_empty(channel: AbstractChannel, queue: dict[str, Any]) -> bool:
    """The management API also counts unacknowledged messages; the count of AMQP is up to date."""
    declared = await channel.declare_queue(queue["name"], passive=True)
    return not _in_use(queue) and not declared.declaration_result.message_count


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
