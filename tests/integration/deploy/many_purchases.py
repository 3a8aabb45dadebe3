"""Makes consistent records of any number of purchases inside the databases.

A person measures the checker with python -m tests.integration.deploy.many_purchases 1000000
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import asyncpg
from rich.console import Console

from deploy.checker.invariants import check
from deploy.checker.verify import show_report
from libs.messaging.saga.choreography import DescribedParticipant
from tests.fixtures.servers import running_servers
from tests.integration.deploy.purchases import PRICE, PURCHASES, Purchase
from tests.integration.deploy.spoilt import PARTICIPANTS, empty_databases

MANY = 200
"""The tests make this many purchases, more than the report lists of any offence."""

OF_TEN: Sequence[str] = ("closed",) * 6 + ("completed", "declined", "cancelled", "refused")
"""The end of purchases number 0, 1, 2, … of every ten."""

# Ids of version 7 are the same in every database: for purchase number `n` and a part of it.
FUNCTIONS = """
    CREATE FUNCTION made(n bigint, total bigint) RETURNS timestamptz STABLE LANGUAGE sql AS $$
        SELECT date_trunc('hour', now()) - interval '25 hours' + n * interval '24 hours' / total $$;
    CREATE FUNCTION uid(n bigint, what int, total bigint) RETURNS uuid STABLE LANGUAGE sql AS $$
        SELECT (lpad(to_hex((extract(epoch FROM made(n, total)) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(n || ':' || what), 1, 3) || '8' || substr(md5(n || ':' || what), 4, 15)
            )::uuid $$"""
NUMBERS = "generate_series({digit}, {total} - 1, 10) AS n"
ORDER, CUSTOMER, VEHICLE, SELLER = (f"uid(n, {what}, {{total}})" for what in range(4))
FIRST_EVENT = 4

RECORDS = {
    "orders": """
        INSERT INTO orders (id, tenant_id, customer_id, vehicle_id, total_cents, status, version,
            created_at, state, history)
        SELECT {order}, 'default', {customer}, {vehicle}, {price}, 'confirmed', 1,
            made(n, {total}), '{it.order}', jsonb_build_array(jsonb_build_array(
                'order.confirmed.v1', 'orders', 1, made(n, {total}))) FROM {numbers}""",
    "customers": """
        INSERT INTO customers (id, tenant_id, version, sequence, name, email, phone, document,
            data_key, document_index, email_index, limit_cents, reserved_cents, consumed_cents,
            available_cents, created_at, updated_at)
        SELECT id, 'default', 1, 1, x, x, x, x, x, x, x, 2 * {price}::bigint,
            0, ('{it.credit}' = 'CONSUMED')::int * {price}::bigint,
            2 * {price}::bigint - ('{it.credit}' = 'CONSUMED')::int * {price}::bigint, now(), now()
        FROM (SELECT {customer} AS id, uuid_send({customer}) AS x FROM {numbers}) AS of;
        INSERT INTO credit_reservations
            (order_id, tenant_id, customer_id, total_cents, state, sequence)
        SELECT {order}, 'default', {customer}, {price}, '{it.credit}', 1 FROM {numbers}""",
    "vehicles": """
        INSERT INTO vehicles (id, tenant_id, seller_id, make, model, year, colour, price_cents,
            plate, plate_index, chassis_number, chassis_number_index, renavam, renavam_index,
            is_sold, version, sequence)
        SELECT id, 'default', seller, 'Fiat', 'Uno', 2020, 'azul', {price}, x, x, x, x, x, x,
            '{it.vehicle}' = 'SOLD', 1, 1
        FROM (SELECT {vehicle} AS id, {seller} AS seller, uuid_send({vehicle}) AS x
                FROM {numbers}) AS of;
        INSERT INTO reservations (order_id, tenant_id, vehicle_id, customer_id, state, sequence)
        SELECT {order}, 'default', {vehicle}, {customer}, '{it.vehicle}', 1 FROM {numbers}
        WHERE '{it.vehicle}' <> 'None'""",
    "payments": """
        INSERT INTO payments (order_id, payment_id, tenant_id, state, amount_cents,
            cancellation_requested, attempts, version, sequence)
        SELECT {order}, gen_random_uuid(), 'default', '{it.payment}', {price}, false, 1, 1, 1
        FROM {numbers} WHERE '{it.payment}' <> 'None';
        INSERT INTO sandbox_operations (key, kind, order_id, amount_cents, method, outcome, calls)
        SELECT {order}::text || kind, kind, {order}, {price}, 'tok_approve', 'approved', 1
        FROM {numbers}, unnest(string_to_array('{operations}', ' ')) AS kind""",
    "payouts": """
        INSERT INTO payouts (payout_id, tenant_id, external_id, order_id, seller_id, amount_cents,
            status, attempts, version, sequence)
        SELECT gen_random_uuid(), 'default', 'order:' || {order}, {order}, {seller}, {price},
            '{it.payout}', 1, 1, 1 FROM {numbers} WHERE '{it.payout}' <> 'None';
        INSERT INTO sandbox_transfers (key, external_id, seller_id, amount_cents, paid, calls)
        SELECT {order}::text, 'order:' || {order}, {seller}, {price}, true, 1
        FROM {numbers} WHERE '{it.payout}' = 'PAID'""",
}
ARCHIVED = """
    INSERT INTO outbox_archive (seq, id, subject, type, body, created_at, published_at)
    SELECT n * 20 + {event}, uid(n, {event}, {total}), {order}::text, '{type}',
        convert_to(repeat('x', 700), 'UTF8'), made(n, {total}), made(n, {total}) FROM {numbers}"""
HANDLED = """
    INSERT INTO inbox (message_id, consumer, made_at, payload_hash, handled_at)
    SELECT uid(n, {event}, {total}), '{queue}', made(n, {total}), sha256('x'), made(n, {total})
    FROM {numbers}"""


async def fill_with_many(
    databases: Mapping[str, str], participants: Sequence[DescribedParticipant], total: int
) -> None:
    """Write `total` purchases (a multiple of ten) of the last day into migrated databases."""
    await asyncio.gather(
        *(_fill(databases[each.name], list(_statements(each, total))) for each in participants)
    )


async def _fill(url: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in (FUNCTIONS, *statements, "VACUUM ANALYZE"):
            await connection.execute(statement)
    finally:
        await connection.close()


def _statements(participant: DescribedParticipant, total: int) -> Iterator[str]:
    own = {event.type for event in participant.publishes}
    queues = {reaction.event_type: reaction.queue for reaction in participant.consumes}
    for digit, kind in enumerate(OF_TEN):
        it = PURCHASES[kind]
        words = _words(it, digit, total)
        if participant.name in RECORDS:
            yield RECORDS[participant.name].format(**words)
        for number, event_type in enumerate(it.events, FIRST_EVENT):
            if event_type in own:
                yield ARCHIVED.format(**words, event=number, type=event_type)
            if event_type in queues:
                yield HANDLED.format(**words, event=number, queue=queues[event_type])


def _words(it: Purchase, digit: int, total: int) -> dict[str, object]:
    return {
        "it": it,
        "total": total,
        "price": PRICE,
        "operations": " ".join(it.operations),
        "numbers": NUMBERS.format(digit=digit, total=total),
        "order": ORDER.format(total=total),
        "customer": CUSTOMER.format(total=total),
        "vehicle": VEHICLE.format(total=total),
        "seller": SELLER.format(total=total),
    }


async def measure(total: int, console: Console) -> None:
    """Measure on servers of its own, or on those that TEST_POSTGRES_URL and its like name."""
    with running_servers() as servers, console.status("writing purchases") as status:
        async with empty_databases(servers.postgres) as databases:
            await fill_with_many(databases, PARTICIPANTS, total)
            started = time.monotonic()
            report = await check(databases, PARTICIPANTS, grace_seconds=0, tell=status.update)
            seconds = time.monotonic() - started
    show_report(report, console)
    console.print(f"checked in {seconds:.1f} s", highlight=False)


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]), Console()))
