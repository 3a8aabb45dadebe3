"""Messages captured while purchases run match the AsyncAPI documents of the services."""

import json
from typing import Any

import aio_pika
import jsonschema_rs

from deploy.demo.market import Market
from deploy.demo.scenarios import (
    bought_and_picked_up,
    cancelled_after_paying,
    credit_too_low,
    payment_declined,
)
from deploy.installation import ADMINISTRATOR, VHOST
from deploy.services import SERVICES
from libs.kernel.ids import uuid7
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

Json = dict[str, Any]
CORRELATION = "$message.payload#/correlationid"
AT_LEAST = 18
"""Types of events that the purchases below make."""


async def test_captured_messages_are_what_the_documents_say(system: System, market: Market) -> None:
    documents = {
        spec.name: (await market.send(spec.name, "GET", "/asyncapi", expect=200)).json()
        for spec in SERVICES
    }
    sent = {
        channel["address"]: (name, channel)
        for name, document in documents.items()
        for channel in document["channels"].values()
        if channel["bindings"]["amqp"]["is"] == "routingKey"
    }
    connection = await aio_pika.connect(system.installation.broker_url(ADMINISTRATOR))
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"captured-{uuid7()}", exclusive=True)
        for exchange in {name for name, _ in sent.values()}:
            await queue.bind(exchange, "#")
        for buying in (
            bought_and_picked_up, cancelled_after_paying, credit_too_low, payment_declined,
        ):  # fmt: skip
            await buying(market)
        await invariants_hold(system)
        captured = []
        while (message := await queue.get(fail=False, no_ack=True)) is not None:
            captured.append(message)

    for message in captured:
        name, channel_said = sent[message.routing_key or ""]
        document = documents[name]
        exchange = channel_said["bindings"]["amqp"]["exchange"]
        assert (exchange["name"], exchange["vhost"]) == (message.exchange, VHOST)
        (said,) = channel_said["messages"].values()
        told = resolved(document, said["$ref"])
        assert message.content_type == told["contentType"] == document["defaultContentType"]
        body = json.loads(message.body)
        assert wrong_with(body, document, told["payload"]["$ref"]) == [], body
        assert (told.get("correlationId", {}).get("location") == CORRELATION) == (
            "correlationid" in body
        )
    assert len({message.routing_key for message in captured}) >= AT_LEAST

    consumed = [
        (document, channel)
        for document in documents.values()
        for channel in document["channels"].values()
        if channel["bindings"]["amqp"]["is"] == "queue"
    ]
    bodies = {message.routing_key: json.loads(message.body) for message in captured}
    for document, channel_said in consumed:
        assert channel_said["bindings"]["amqp"]["queue"]["vhost"] == VHOST
        body = bodies.get(channel_said["address"])
        (said,) = channel_said["messages"].values()
        told = resolved(document, said["$ref"])
        if body is not None:
            assert wrong_with(body, document, told["payload"]["$ref"]) == [], body
            assert ("correlationId" in told) == ("correlationid" in body)


def resolved(document: Json, reference: str) -> Json:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def wrong_with(body: Json, document: Json, reference: str) -> list[str]:
    schema = {"$ref": reference, "components": document["components"]}
    return [str(error) for error in jsonschema_rs.validator_for(schema).iter_errors(body)]
