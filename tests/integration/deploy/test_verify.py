"""The checker only reads, counts what it does not list, and names what waits or was given up."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import aio_pika
import asyncpg
import pytest

from deploy.checker.invariants import ARRIVED, NOTHING_WAITS, PUBLISHED, check
from deploy.checker.report import LISTED, Report
from deploy.checker.snapshot import connected
from libs.messaging.dead_letters.copies import HEADER_ERROR
from libs.messaging.topology import apply, apply_policies, topology_of
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer, RabbitMQServer
from tests.integration.deploy.many_purchases import MANY
from tests.integration.deploy.purchases import identifier
from tests.integration.deploy.spoilt import PARTICIPANTS, Spoilt

QUEUE = "vehicles.on.credit.reserved.v1"


def found(report: Report, rule: str) -> tuple[int, list[str]]:
    """Return how many offences there are, and those that are listed."""
    [invariant] = [each for each in report.invariants if each.rule == rule]
    return invariant.count, list(invariant.broken)


@asynccontextmanager
async def reader_of(postgres_server: PostgresServer) -> AsyncIterator[tuple[str, str]]:
    """Yield a role that may only read every table, and its password."""
    name, password = f"test_reader_{uuid4().hex}", uuid4().hex
    connection = await asyncpg.connect(postgres_server.url)
    try:
        await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        await connection.execute(f"GRANT pg_read_all_data TO {name}")
        yield name, password
    finally:
        await connection.execute(f"DROP ROLE {name}")
        await connection.close()


async def test_its_connections_refuse_to_write(filled: Mapping[str, str]) -> None:
    async with connected(filled) as connections:
        for connection in connections.values():
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await connection.execute("DELETE FROM inbox")


async def test_a_role_that_can_only_read_is_enough(
    postgres_server: PostgresServer, filled: Mapping[str, str]
) -> None:
    async with reader_of(postgres_server) as (name, password):
        places = {service: urlsplit(url) for service, url in filled.items()}
        databases = {
            service: urlunsplit(
                place._replace(netloc=f"{name}:{password}@{place.hostname}:{place.port}")
            )
            for service, place in places.items()
        }

        report = await check(databases, PARTICIPANTS)

    assert report.hold


async def test_the_checker_reports_its_progress(many: Mapping[str, str]) -> None:
    told: list[str] = []

    report = await check(many, PARTICIPANTS, tell=told.append)

    assert report.hold
    assert report.purchases == MANY
    assert told[-2] == f"{MANY} of about {MANY} purchases"


async def test_many_offences_are_counted_and_some_are_listed(
    postgres_server: PostgresServer, many: Mapping[str, str]
) -> None:
    spoilt = Spoilt(postgres_server, many)
    try:
        await spoilt.spoil("orders", "UPDATE orders SET state = 'PAID' WHERE state = 'CLOSED'")
        await spoilt.spoil(
            "customers",
            "UPDATE customers SET reserved_cents = 1, available_cents = available_cents - 1",
        )
        await spoilt.spoil("vehicles", f"DELETE FROM inbox WHERE consumer = '{QUEUE}'")

        report = await check(spoilt.databases, PARTICIPANTS)
    finally:
        await spoilt.close()

    count, listed = found(report, "no purchase rests half-way")
    assert (count, len(listed)) == (MANY * 6 // 10, LISTED)
    count, listed = found(report, "credit adds up for every customer")
    assert (count, len(listed)) == (MANY, LISTED)
    count, [sentence] = found(report, ARRIVED)
    assert count == MANY * 9 // 10
    assert sentence.startswith(f"{QUEUE} never handled {count} events: ")
    assert sentence.count(",") == LISTED - 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("3, now(), 'nacked'", "was not published in 3 attempts: nacked"),
        ("1, 'infinity', 'too old'", "is parked and needs a person: too old"),
        ("0, 'infinity', NULL", "waits behind one that is not published"),
    ],
    ids=["failing", "parked", "behind"],
)
async def test_an_outbox_row_that_stays_is_named_with_why(
    spoilt: Spoilt, row: str, sentence: str
) -> None:
    await spoilt.spoil(
        "payments",
        "INSERT INTO outbox (id, subject, type, body, created_at, attempts, due_at, error)"
        " VALUES ('{nobody}', '{closed}', 'payment.refunded.v1', '', now() - interval '1 hour',"
        f" {row})",
    )

    report = await check(spoilt.databases, PARTICIPANTS)

    event = f"payment.refunded.v1 {identifier('nobody')} of {identifier('closed')}"
    assert found(report, PUBLISHED) == (1, [f"{event} {sentence}"])


async def test_empty_queues_hold(filled: Mapping[str, str], market_broker: str) -> None:
    report = await check(filled, PARTICIPANTS, rabbitmq_url=market_broker)

    assert report.hold
    assert found(report, NOTHING_WAITS) == (0, [])


async def test_a_message_in_a_queue_while_nothing_moves_is_an_offence(
    filled: Mapping[str, str], market_broker: str
) -> None:
    await _publish(market_broker, QUEUE)

    report = await check(filled, PARTICIPANTS, rabbitmq_url=market_broker)

    assert found(report, NOTHING_WAITS) == (1, [f"{QUEUE} holds 1 messages"])


async def test_a_message_in_a_queue_while_the_system_moves_is_a_note(
    spoilt: Spoilt, market_broker: str
) -> None:
    await _publish(market_broker, QUEUE)
    await spoilt.spoil("orders", "UPDATE orders SET created_at = now() WHERE id = '{awaiting}'")

    report = await check(
        spoilt.databases, PARTICIPANTS, rabbitmq_url=market_broker, grace_seconds=600
    )

    assert report.hold
    assert report.notes[-1] == f"{QUEUE} holds 1 messages, and the system moves"


async def test_a_missing_queue_is_an_offence(filled: Mapping[str, str], vhost: str) -> None:
    await apply(vhost, topology_of(PARTICIPANTS))
    async with await aio_pika.connect(vhost) as connection:
        await (await connection.channel()).queue_delete(QUEUE)

    report = await check(filled, PARTICIPANTS, rabbitmq_url=vhost)

    assert found(report, NOTHING_WAITS) == (1, [f"{QUEUE} is missing"])


async def test_dead_letters_are_listed_and_stay(
    filled: Mapping[str, str], market_broker: str
) -> None:
    dead = str(uuid4())
    await _publish(market_broker, QUEUE, exchange="vehicles.dlx", message_id=dead)
    reports = [await check(filled, PARTICIPANTS, rabbitmq_url=market_broker) for _ in range(2)]

    for report in reports:
        assert report.hold
        assert report.notes[-1] == f"dead letter {dead} of {QUEUE}: broken"


async def test_a_queue_of_views_that_dropped_events_is_named_with_the_command_that_helps(
    filled: Mapping[str, str], vhost: str, rabbitmq_server: RabbitMQServer
) -> None:
    wanted = topology_of(PARTICIPANTS)
    policies = tuple(replace(each, most_bytes=1) for each in wanted.policies)
    await apply(vhost, wanted)
    place = urlsplit(vhost).path.removeprefix("/")
    await apply_policies(rabbitmq_server.management_url, place, replace(wanted, policies=policies))
    await _publish(vhost, "kpis.on.order.closed.v1")

    async def named() -> bool:
        report = await check(filled, PARTICIPANTS, rabbitmq_url=vhost)
        assert report.hold
        assert re.fullmatch(
            r"views of kpis miss events that their queues dropped, the last from"
            r" kpis\.on\.order\.closed\.v1, at 20..-..-.. ..:.. UTC: \./taskw topology replay kpis",
            report.notes[-1],
        )
        return True

    await eventually(named)  # the broker moves dropped messages without a confirm
    await eventually(named)


async def _publish(
    url: str, routing_key: str, *, exchange: str = "", message_id: str | None = None
) -> None:
    message = aio_pika.Message(b"{}", message_id=message_id, headers={HEADER_ERROR: "broken"})
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        where = await channel.get_exchange(exchange) if exchange else channel.default_exchange
        await where.publish(message, routing_key)
