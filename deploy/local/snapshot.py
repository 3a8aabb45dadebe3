"""What all databases hold at about one moment, as the invariants need it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

HOLDS_CREDIT = frozenset({"RESERVED", "CONSUMED"})
HOLDS_VEHICLE = frozenset({"RESERVED", "SOLD"})

Row = Mapping[str, Any]
Records = Mapping[UUID, Row]

CUSTOMERS = """
    SELECT c.id, c.limit_cents, c.reserved_cents, c.consumed_cents, c.available_cents,
           coalesce(sum(r.total_cents) FILTER (WHERE r.state = 'RESERVED'), 0) AS reserved_records,
           coalesce(sum(r.total_cents) FILTER (WHERE r.state = 'CONSUMED'), 0) AS consumed_records
      FROM customers c LEFT JOIN credit_reservations r ON r.customer_id = c.id
     GROUP BY c.id"""

ORDERS = """
    SELECT id AS order_id, tenant_id, state,
           coalesce(due_at < now() - $1 * interval '1 second', false) AS overdue,
           created_at > now() - $1 * interval '1 second' AS young
      FROM orders WHERE state IS NOT NULL"""

OPERATIONS = """
    SELECT order_id, kind, amount_cents FROM sandbox_operations WHERE outcome = 'approved'"""


@dataclass(frozen=True)
class Snapshot:
    """Records of purchases by order id. `young` are the orders something happened to just now."""

    customers: Sequence[Row]
    vehicles: Sequence[Row]
    operations: Sequence[Row]
    orders: Records
    credit: Records
    reservations: Records
    payments: Records
    unpublished: Sequence[Row]
    published: Mapping[str, set[UUID]]
    handled: Mapping[str, set[UUID]]
    young: frozenset[UUID]

    def settled(self, records: Records) -> Iterator[tuple[UUID, Row]]:
        """The records of purchases that have had the time to come to rest."""
        return ((key, row) for key, row in records.items() if key not in self.young)

    def state_of(self, order_id: UUID) -> str | None:
        order = self.orders.get(order_id)
        return None if order is None else order["state"]


async def take_snapshot(databases: Mapping[str, str], grace_seconds: float) -> Snapshot:
    """Read every database once. Backlogs are read first: what they hold is not missed later."""
    connections = {name: await asyncpg.connect(url) for name, url in databases.items()}
    try:
        orders_db, customers_db = connections["orders"], connections["customers"]
        vehicles_db, payments_db = connections["vehicles"], connections["payments"]
        orders = _by_order(await _rows(orders_db, ORDERS, grace_seconds), "orders")
        young = {order_id for order_id, row in orders.items() if row["young"]}
        unpublished: list[Row] = []
        published: dict[str, set[UUID]] = defaultdict(set)
        handled: dict[str, set[UUID]] = defaultdict(set)
        for connection in connections.values():
            young |= await _recent_subjects(connection, grace_seconds)
            unpublished += await _unpublished(connection, grace_seconds)
            await _events(connection, grace_seconds, published, handled)
        return Snapshot(
            customers=await _rows(customers_db, CUSTOMERS),
            vehicles=await _rows(vehicles_db, "SELECT id, is_reserved, is_sold FROM vehicles"),
            operations=await _rows(payments_db, OPERATIONS),
            orders=orders,
            credit=await _records(customers_db, "credit_reservations"),
            reservations=await _records(vehicles_db, "reservations"),
            payments=await _records(payments_db, "payments"),
            unpublished=unpublished,
            published=published,
            handled=handled,
            young=frozenset(young),
        )
    finally:
        for connection in connections.values():
            await connection.close()


async def _rows(connection: Any, query: str, *arguments: Any) -> list[Row]:
    return [dict(row) for row in await connection.fetch(query, *arguments)]


async def _records(connection: Any, table: str) -> Records:
    return _by_order(await _rows(connection, f"SELECT * FROM {table}"), table)  # noqa: S608


def _by_order(rows: Sequence[Row], source: str) -> Records:
    return {row["order_id"]: {**row, "source": source} for row in rows}


async def _recent_subjects(connection: Any, grace_seconds: float) -> set[UUID]:
    rows = await connection.fetch(
        "SELECT DISTINCT subject FROM outbox_archive"
        " WHERE published_at > now() - $1 * interval '1 second'"
        " UNION SELECT subject FROM outbox WHERE created_at > now() - $1 * interval '1 second'",
        grace_seconds,
    )
    return {UUID(row["subject"]) for row in rows}


async def _unpublished(connection: Any, grace_seconds: float) -> list[Row]:
    rows: list[Row] = await connection.fetch(
        "SELECT id, type, subject FROM outbox WHERE created_at < now() - $1 * interval '1 second'",
        grace_seconds,
    )
    return rows


async def _events(
    connection: Any,
    grace_seconds: float,
    published: dict[str, set[UUID]],
    handled: dict[str, set[UUID]],
) -> None:
    for row in await connection.fetch(
        "SELECT id, type FROM outbox_archive WHERE published_at < now() - $1 * interval '1 second'",
        grace_seconds,
    ):
        published[row["type"]].add(row["id"])
    for row in await connection.fetch("SELECT consumer, message_id FROM inbox"):
        handled[row["consumer"]].add(row["message_id"])
