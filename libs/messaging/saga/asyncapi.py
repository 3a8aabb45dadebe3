"""FastStream's generator derives the AsyncAPI 3 documents from the participants."""

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal, get_type_hints
from uuid import UUID

from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.rabbit.schemas import QueueType
from faststream.specification.asyncapi import AsyncAPI
from pydantic import BaseModel, create_model

from libs.kernel.events import DomainEvent
from libs.messaging.envelope import CONTENT_TYPE, Received, WireSequence
from libs.messaging.saga.choreography import Choreography, choreography_of
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reaction

SYSTEM = "system"
CORRELATION = {
    "description": "The business process that the event belongs to.",
    "location": "$message.payload#/correlationid",
}


class _Published(BaseModel):
    """Every event goes out with these CloudEvents attributes."""

    specversion: Literal["1.0"]
    id: UUID
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"]
    sequence: WireSequence
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None


def document(
    participant: Participant, choreography: Choreography, *, vhost: str = "/"
) -> dict[str, Any]:
    """Return one service's document: what it receives (its own views) and what it sends.
    `choreography` says who publishes the events. `vhost` is the broker's virtual host.
    """
    return _document(participant.name, [participant], choreography, vhost)


def documents(
    participants: Sequence[Participant], *, vhost: str = "/"
) -> dict[str, dict[str, Any]]:
    """Return every document by name: each service's, and `system`, which refers to the others."""
    choreography = choreography_of(participants)
    each = {one.name: document(one, choreography, vhost=vhost) for one in participants}
    whole = _document(SYSTEM, [], choreography, vhost)
    for part in ("channels", "operations"):
        whole[part] = {
            key: {"$ref": f"{name}.json#/{part}/{key}"}
            for name, described in each.items()
            for key in described[part]
        }
    del whole["components"]
    return {**each, SYSTEM: whole}


def files(
    participants: Sequence[Participant], folder: Path, *, vhost: str = "/"
) -> dict[Path, str]:
    """Return each document's file as it should read now, by path."""
    return {
        folder / f"{name}.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in documents(participants, vhost=vhost).items()
    }


def _document(
    title: str, described: Sequence[Participant], choreography: Choreography, vhost: str
) -> dict[str, Any]:
    broker = RabbitBroker(
        "amqp://localhost", virtualhost=vhost, logger=None, description="RabbitMQ"
    )
    publishers = choreography.publishers
    senders = []  # the broker keeps weak references to publishers only
    for participant in described:
        for reaction in participant.reacts_to:
            _describe_reaction(broker, reaction, publishers.get(reaction.event_type, ""))
        senders += [
            _describe_event(broker, participant.name, event) for event in participant.publishes
        ]
    specification = AsyncAPI(broker, title=title, version="1").to_specification()
    del senders
    # FastStream keeps publishers in a set, so their order differs from run to run; sorted keys do
    # not.
    in_order = json.dumps(json.loads(specification.to_json()), sort_keys=True)
    described_as: dict[str, Any] = json.loads(in_order)
    _as_on_the_wire(described_as, choreography.correlated, vhost)
    return described_as


def _as_on_the_wire(document: dict[str, Any], correlated: Collection[str], vhost: str) -> None:
    """Correct what FastStream writes: it takes messages for plain JSON with their own correlation
    among the headers, and writes a virtual host as a path.
    """
    document["defaultContentType"] = CONTENT_TYPE
    for channel in document["channels"].values():
        for bound in ("exchange", "queue"):
            if bound in channel["bindings"]["amqp"]:
                channel["bindings"]["amqp"][bound]["vhost"] = vhost
    for name, message in document["components"].get("messages", {}).items():
        channel = document["channels"][name.rpartition(":")[0]]
        message["contentType"] = CONTENT_TYPE
        del message["correlationId"]
        if channel["address"] in correlated:
            message["correlationId"] = CORRELATION


def _describe_reaction(broker: RabbitBroker, reaction: Reaction[Any], publisher: str) -> None:
    # Two services may call different views by one name. They must not meet where a tool bundles the
    # services' documents into one.
    prefix = reaction.service.capitalize()
    view: Any = create_model(
        f"{prefix}{reaction.data_model.__name__}", __base__=reaction.data_model
    )
    base: Any = Received.__class_getitem__(view)
    extensions: dict[str, Any] = dict.fromkeys(reaction.extensions, (str, ...))
    received: Any = create_model(
        f"{prefix}On{_name(reaction.event_type)}", __base__=base, **extensions
    )

    async def receive(event: received) -> None:
        del event

    broker.subscriber(
        RabbitQueue(
            reaction.queue,
            queue_type=QueueType.QUORUM,
            routing_key=reaction.event_type,
            declare=False,
        ),
        _exchange(publisher),
        title=reaction.queue,
        description=f"{reaction.does} ({reaction.step.value})",
    )(receive)


def _describe_event(broker: RabbitBroker, service: str, event: type[DomainEvent]) -> object:
    hints = get_type_hints(event)
    content: dict[str, Any] = {
        field.name: (hints[field.name], ...) for field in fields(event) if field.name != "sequence"
    }
    data = create_model(f"{event.__name__}Data", **content)
    attributes: dict[str, Any] = {
        "source": (Literal[service], ...),
        "type": (Literal[event.type], ...),
        "data": (data, ...),
        **dict.fromkeys(event.extensions, (str, ...)),
    }
    if event.schema_prefix:
        attributes["dataschema"] = (Literal[f"{event.schema_prefix}{event.type}"], ...)
    return broker.publisher(
        routing_key=event.type,
        exchange=_exchange(service),
        persist=True,
        schema=create_model(event.__name__, __base__=_Published, **attributes),
        title=event.type,
        description=_summary(event),
    )


def _summary(event: type[DomainEvent]) -> str | None:
    """Return the first paragraph of the docstring, in one line; None for the docstring that a
    dataclass makes out of its fields.
    """
    text = cleandoc(event.__doc__ or "")
    if text.startswith(f"{event.__name__}("):
        return None
    return " ".join(text.partition("\n\n")[0].split())


def _exchange(name: str) -> RabbitExchange:
    return RabbitExchange(name, type=ExchangeType.TOPIC, durable=True, declare=False)


def _name(event_type: str) -> str:
    return "".join(part.capitalize() for part in event_type.replace("_", ".").split("."))
