"""The checker reports further broken rules: data that must not be kept, and missed events."""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import pytest

from deploy.checker.invariants import ARRIVED, check
from deploy.checker.records.customers import CREDIT
from deploy.checker.records.vehicles import VEHICLE
from deploy.checker.report import Report
from tests.fixtures.servers import PostgresServer
from tests.integration.deploy.purchases import PRICE
from tests.integration.deploy.spoilt import (
    IDS,
    PARTICIPANTS,
    Spoilt,
)

NOTHING_HELD = "what failed or was cancelled holds nothing"
AT_REST = "no purchase rests half-way"
QUEUE = "vehicles.on.payment.processed.v1"
ONE_OF = (
    f"consumer = '{QUEUE}' AND message_id = (SELECT min(message_id::text)::uuid FROM inbox"
    f" WHERE consumer = '{QUEUE}')"
)


class Break(NamedTuple):
    """A `Break` breaks one rule. `sentence` is what the report says of it."""

    name: str
    service: str
    statements: str
    sentence: str
    rules: set[str]


BREAKS = (
    Break(
        "credit of a cancelled purchase consumed",
        "customers",
        "UPDATE credit_reservations SET state = 'CONSUMED' WHERE order_id = '{cancelled}';"
        f"UPDATE customers SET consumed_cents = {PRICE}, available_cents = {PRICE}"
        " WHERE id = '{cancelled_customer}'",
        "order {cancelled} is CANCELLED, its credit is CONSUMED",
        {NOTHING_HELD},
    ),
    Break(
        "vehicle of a cancelled purchase sold",
        "vehicles",
        "UPDATE reservations SET state = 'SOLD' WHERE order_id = '{cancelled}';"
        "UPDATE vehicles SET is_sold = true WHERE id = '{cancelled_vehicle}'",
        "order {cancelled} is CANCELLED, its vehicle is SOLD",
        {NOTHING_HELD, VEHICLE},
    ),
    Break(
        "charge of a failed purchase under way",
        "payments",
        "UPDATE payments SET state = 'PROCESSING', next_attempt = now()"
        " WHERE order_id = '{declined}'",
        "order {declined} is FAILED, its payment is PROCESSING",
        {NOTHING_HELD},
    ),
    Break(
        "refund of a cancelled purchase under way",
        "payments",
        "UPDATE payments SET state = 'REFUNDING', next_attempt = now()"
        " WHERE order_id = '{cancelled}'",
        "order {cancelled} is CANCELLED, its payment is REFUNDING",
        {NOTHING_HELD},
    ),
    Break(
        "consumed credit of an unknown customer",
        "customers",
        "DELETE FROM customers WHERE id = '{closed_customer}'",
        "order {closed}: there is no customer {closed_customer}",
        {CREDIT},
    ),
    Break(
        "reserved vehicle unknown",
        "vehicles",
        "DELETE FROM vehicles WHERE id = '{awaiting_vehicle}'",
        "order {awaiting}: there is no vehicle {awaiting_vehicle}",
        {VEHICLE},
    ),
    *(
        Break(
            f"resting in {state}",
            "orders",
            f"UPDATE orders SET state = '{state}' WHERE id = '{{awaiting}}'",
            f"order {{awaiting}} rests in {state}",
            {AT_REST},
        )
        for state in ("REQUESTED", "CREDIT_RESERVED", "VEHICLE_RESERVED")
    ),
)

MISSED = {
    "never handled": (f"DELETE FROM inbox WHERE {ONE_OF}", "never handled 1 events: "),
    "another one handled in its place": (
        "UPDATE inbox SET message_id = (left(message_id::text, 24) || 'ffffffffffff')::uuid"
        f" WHERE {ONE_OF}",
        "never handled 1 events: ",
    ),
    "handled twice": (
        "INSERT INTO inbox (message_id, consumer, made_at, payload_hash)"
        " SELECT message_id, consumer, made_at + interval '1 second', payload_hash FROM inbox"
        f" WHERE {ONE_OF}",
        "handled 1 events more than once: ",
    ),
}


@pytest.fixture
async def spoilt_many(
    postgres_server: PostgresServer, many: Mapping[str, str]
) -> AsyncIterator[Spoilt]:
    copies = Spoilt(postgres_server, many)
    try:
        yield copies
    finally:
        await copies.close()


def broken(report: Report) -> dict[str, list[str]]:
    return {each.rule: list(each.broken) for each in report.invariants if each.count}


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.name)
async def test_a_broken_rule_turns_red_and_names_what_it_is_about(
    spoilt: Spoilt, case: Break
) -> None:
    await spoilt.spoil(case.service, case.statements)

    found = broken(await check(spoilt.databases, PARTICIPANTS))

    assert found.keys() == case.rules
    sentences = [sentence for each in found.values() for sentence in each]
    assert case.sentence.format(**IDS) in sentences


@pytest.mark.parametrize(("statement", "what"), MISSED.values(), ids=MISSED)
async def test_one_event_among_many_that_a_subscriber_missed_is_found(
    spoilt_many: Spoilt, statement: str, what: str
) -> None:
    await spoilt_many.spoil("vehicles", statement)

    [sentence] = broken(await check(spoilt_many.databases, PARTICIPANTS))[ARRIVED]

    assert sentence.startswith(f"{QUEUE} {what}")
    assert sentence.count("-") == 4  # an id has four of them


async def test_an_event_published_just_now_may_be_on_its_way_to_its_subscribers(
    spoilt_many: Spoilt,
) -> None:
    await spoilt_many.spoil("vehicles", f"DELETE FROM inbox WHERE {ONE_OF}")
    await spoilt_many.spoil("payments", "UPDATE outbox_archive SET published_at = now()")

    assert broken(await check(spoilt_many.databases, PARTICIPANTS, grace_seconds=600)) == {}
    assert broken(await check(spoilt_many.databases, PARTICIPANTS, grace_seconds=0)).keys() == {
        ARRIVED
    }


async def test_an_archive_that_forgets_before_the_inboxes_do_proves_nothing_wrong(
    spoilt_many: Spoilt,
) -> None:
    await spoilt_many.spoil("payments", "DELETE FROM outbox_archive WHERE seq % 40 < 20")

    assert broken(await check(spoilt_many.databases, PARTICIPANTS)) == {}
