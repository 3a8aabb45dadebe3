"""Consistent records of a few purchases, written straight into the services' databases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg

from libs.messaging.saga.choreography import DescribedParticipant

PRICE = 5_000_000
TENANT = "default"

RESERVED = (
    "order.confirmed.v1",
    "credit.reserved.v1",
    "vehicle.reserved.v1",
    "payment.code_generated.v1",
)
COMPLETED = (*RESERVED, "payment.processed.v1", "vehicle.sold.v1", "order.completed.v1")
GIVEN_BACK = ("vehicle.released.v1", "credit.released.v1")


@dataclass(frozen=True)
class Purchase:
    """States by service; None where a service knows nothing of it."""

    order: str
    credit: str
    vehicle: str | None
    payment: str | None
    operations: Sequence[str]
    events: Sequence[str]
    payout: str | None = None


PURCHASES: Mapping[str, Purchase] = {
    "completed": Purchase("COMPLETED", "CONSUMED", "SOLD", "PROCESSED", ("charge",), COMPLETED),
    "closed": Purchase(
        "CLOSED",
        "CONSUMED",
        "SOLD",
        "PROCESSED",
        ("charge",),
        (*COMPLETED, "order.closed.v1", "payout.completed.v1"),
        payout="PAID",
    ),
    "payout_failed": Purchase(
        "CLOSED",
        "CONSUMED",
        "SOLD",
        "PROCESSED",
        ("charge",),
        (*COMPLETED, "order.closed.v1", "payout.failed.v1"),
        payout="FAILED",
    ),
    "refused": Purchase(
        "FAILED",
        "REFUSED",
        None,
        None,
        (),
        ("order.confirmed.v1", "credit.reservation_failed.v1", "order.failed.v1"),
    ),
    "declined": Purchase(
        "FAILED",
        "RELEASED",
        "RELEASED",
        "FAILED",
        (),
        (*RESERVED, "payment.failed.v1", *GIVEN_BACK, "order.failed.v1"),
    ),
    "cancelled": Purchase(
        "CANCELLED",
        "RELEASED",
        "RELEASED",
        "REFUNDED",
        ("charge", "refund"),
        (
            *COMPLETED,
            "order.cancellation_requested.v1",
            "payment.refunded.v1",
            *GIVEN_BACK,
            "order.cancelled.v1",
        ),
    ),
    "awaiting": Purchase("AWAITING_PAYMENT", "RESERVED", "RESERVED", "PENDING", (), RESERVED),
    "refund_failed": Purchase(
        "COMPENSATING",
        "CONSUMED",
        "SOLD",
        "REFUND_FAILED",
        ("charge",),
        (*COMPLETED, "order.cancellation_requested.v1", "payment.refund_failed.v1"),
    ),
}

CUSTOMER = """
    INSERT INTO customers (id, tenant_id, version, sequence, name, email, phone, document, data_key,
        document_index, email_index, limit_cents, reserved_cents, consumed_cents, available_cents,
        created_at, updated_at)
    SELECT $1, $2, 1, 1, x, x, x, x, x, x, x, $3, $4, $5, $3::bigint - $4::bigint - $5::bigint,
           now(), now()
      FROM (SELECT uuid_send($1::uuid) AS x) AS bytes"""
CREDIT = """
    INSERT INTO credit_reservations (order_id, tenant_id, customer_id, total_cents, state, sequence)
    VALUES ($1, $2, $3, $4, $5, 1)"""
VEHICLE = """
    INSERT INTO vehicles (id, tenant_id, seller_id, make, model, year, colour, price_cents, plate,
        plate_index, chassis_number, chassis_number_index, renavam, renavam_index, is_reserved,
        is_sold, version, sequence)
    SELECT $1, $2, $5, 'Fiat', 'Uno', 2020, 'azul', $3, x, x, x, x, x, x,
           $4::text IS NOT DISTINCT FROM 'RESERVED', $4 IS NOT DISTINCT FROM 'SOLD', 1, 1
      FROM (SELECT uuid_send($1::uuid) AS x) AS bytes"""
RESERVATION = """
    INSERT INTO reservations (order_id, tenant_id, vehicle_id, customer_id, state, sequence)
    VALUES ($1, $2, $3, $4, $5, 1)"""
PAYMENT = """
    INSERT INTO payments (order_id, payment_id, tenant_id, state, amount_cents,
        cancellation_requested, next_attempt, attempts, version, sequence)
    VALUES ($1, gen_random_uuid(), $2, $3::text, $4, false,
        CASE WHEN $3 = 'REFUND_FAILED' THEN now() END, 1, 1, 1)"""
OPERATION = """
    INSERT INTO sandbox_operations (key, kind, order_id, amount_cents, method, outcome, calls)
    VALUES ($1::uuid::text || $2::text, $2, $1, $3, 'tok_approve', 'approved', 1)"""
PAYOUT = """
    INSERT INTO payouts (payout_id, tenant_id, external_id, order_id, seller_id, amount_cents,
        status, attempts, version, sequence)
    VALUES (gen_random_uuid(), $1, 'order:' || $2::uuid::text, $2, $3, $4, $5, 1, 1, 1)"""
TRANSFER = """
    INSERT INTO sandbox_transfers (key, external_id, seller_id, amount_cents, paid, calls)
    VALUES ($1::uuid::text, 'order:' || $1, $2, $3, $4, 1)"""
ORDER = """
    INSERT INTO orders (id, tenant_id, customer_id, vehicle_id, total_cents, status, version,
        created_at, state, due_at)
    VALUES ($1, $2, $3, $4, $5, 'confirmed', 1, now() - interval '1 hour', $6::text,
        CASE WHEN $6 = 'AWAITING_PAYMENT' THEN now() + interval '1 hour' END)"""
ARCHIVED = """
    INSERT INTO outbox_archive (seq, id, subject, type, body, created_at, published_at)
    VALUES ($1, $2, $3::uuid::text, $4, '', now() - interval '1 hour', now() - interval '1 hour')"""
HANDLED = """
    INSERT INTO inbox (message_id, consumer, made_at, payload_hash)
    VALUES ($1, $2, now() - interval '1 hour', '')"""


def identifier(purchase: str, what: str = "order") -> UUID:
    """An id that is the same for the same words: of a purchase's order, customer or
    vehicle, or of its event.
    """
    return uuid5(NAMESPACE_OID, f"{what} of {purchase}")


async def fill(databases: Mapping[str, str], participants: Sequence[DescribedParticipant]) -> None:
    """Write every purchase, its events into the archives, and each event into the
    inboxes of its consumers.
    """
    for participant in participants:
        connection = await asyncpg.connect(databases[participant.name])
        try:
            records = _RECORDS.get(participant.name, _nothing)
            for name, purchase in PURCHASES.items():
                for statement, *values in records(name, purchase):
                    await connection.execute(statement, *values)
            for statement, *values in _messages(participant):
                await connection.execute(statement, *values)
        finally:
            await connection.close()


Statements: TypeAlias = Iterator[tuple[str, *tuple[object, ...]]]


def _in_orders(name: str, purchase: Purchase) -> Statements:
    customer, vehicle = identifier(name, "customer"), identifier(name, "vehicle")
    yield ORDER, identifier(name), TENANT, customer, vehicle, PRICE, purchase.order


def _in_customers(name: str, purchase: Purchase) -> Statements:
    customer = identifier(name, "customer")
    reserved = PRICE if purchase.credit == "RESERVED" else 0
    consumed = PRICE if purchase.credit == "CONSUMED" else 0
    yield CUSTOMER, customer, TENANT, 2 * PRICE, reserved, consumed
    yield CREDIT, identifier(name), TENANT, customer, PRICE, purchase.credit


def _in_vehicles(name: str, purchase: Purchase) -> Statements:
    vehicle, state = identifier(name, "vehicle"), purchase.vehicle
    yield VEHICLE, vehicle, TENANT, PRICE, state, identifier(name, "seller")
    if state is not None:
        customer = identifier(name, "customer")
        yield RESERVATION, identifier(name), TENANT, vehicle, customer, state


def _in_payments(name: str, purchase: Purchase) -> Statements:
    if purchase.payment is not None:
        yield PAYMENT, identifier(name), TENANT, purchase.payment, PRICE
    for kind in purchase.operations:
        yield OPERATION, identifier(name), kind, PRICE


def _in_payouts(name: str, purchase: Purchase) -> Statements:
    if purchase.payout is not None:
        seller, state = identifier(name, "seller"), purchase.payout
        yield PAYOUT, TENANT, identifier(name), seller, PRICE, state
        yield TRANSFER, identifier(name), seller, PRICE, state == "PAID"


def _nothing(_name: str, _purchase: Purchase) -> Statements:
    """A service that only keeps views has no record of a purchase."""
    return iter(())


_RECORDS = {
    "orders": _in_orders,
    "customers": _in_customers,
    "vehicles": _in_vehicles,
    "payments": _in_payments,
    "payouts": _in_payouts,
}


def _messages(participant: DescribedParticipant) -> Statements:
    own = {event.type for event in participant.publishes}
    queues = {reaction.event_type: reaction.queue for reaction in participant.consumes}
    events = [(name, event) for name, purchase in PURCHASES.items() for event in purchase.events]
    for number, (name, event) in enumerate(events):
        if event in own:
            yield ARCHIVED, number, identifier(name, event), identifier(name), event
        if event in queues:
            yield HANDLED, identifier(name, event), queues[event]
