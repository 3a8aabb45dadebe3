"""What the databases hold about purchases at about one moment, as the invariants need it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import asyncpg

from libs.messaging.database import Connection

Connections: TypeAlias = Mapping[str, Connection]


class Row(Protocol):
    """A record of the database, or anything that answers its columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


Records: TypeAlias = Mapping[UUID, Row]

CUSTOMERS = """
    SELECT c.id, c.limit_cents, c.reserved_cents, c.consumed_cents, c.available_cents,
           coalesce(r.reserved, 0) AS reserved_records, coalesce(r.consumed, 0) AS consumed_records
      FROM customers c LEFT JOIN (
           SELECT customer_id,
                  (sum(total_cents) FILTER (WHERE state = 'RESERVED'))::bigint AS reserved,
                  (sum(total_cents) FILTER (WHERE state = 'CONSUMED'))::bigint AS consumed
             FROM credit_reservations GROUP BY customer_id) r ON r.customer_id = c.id"""
CREDIT = "SELECT order_id, tenant_id, state, customer_id FROM credit_reservations"
VEHICLES = "SELECT id, seller_id, is_reserved, is_sold FROM vehicles"
RESERVATIONS = "SELECT order_id, tenant_id, state, vehicle_id FROM reservations"
PAYMENTS = "SELECT order_id, tenant_id, state, settled_by IS NOT NULL AS settled FROM payments"
OPERATIONS = """
    SELECT order_id, kind, amount_cents FROM sandbox_operations WHERE outcome = 'approved'"""
PAYOUTS = """
    SELECT order_id, tenant_id, status AS state, seller_id, amount_cents, sequence > 0 AS told
      FROM payouts WHERE order_id IS NOT NULL"""
TRANSFERS = """
    SELECT substr(external_id, length('order:') + 1)::uuid AS order_id, seller_id, amount_cents
      FROM sandbox_transfers WHERE paid AND starts_with(external_id, 'order:')"""
ORDERS = """
    SELECT id AS order_id, tenant_id, state, total_cents,
           coalesce(due_at < now() - $1 * interval '1 second', true) AS overdue
      FROM orders WHERE state IS NOT NULL"""

TOLD_SINCE = """
    SELECT subject FROM outbox_archive WHERE published_at > $1
     UNION SELECT subject FROM outbox WHERE created_at > $1"""
HEARD_SINCE = """
    SELECT id FROM orders WHERE state IS NOT NULL
       AND (created_at > $1 OR (history -> -1 ->> 3)::timestamptz > $1)"""


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
    payouts: Records
    transfers: Sequence[Row]
    young: frozenset[UUID]

    @property
    def by_service(self) -> Mapping[str, Records]:
        return {
            "orders": self.orders,
            "customers": self.credit,
            "vehicles": self.reservations,
            "payments": self.payments,
            "payouts": self.payouts,
        }

    def settled(self, records: Records) -> Iterator[tuple[UUID, Row]]:
        """The records of purchases that have had the time to come to rest."""
        return ((key, row) for key, row in records.items() if key not in self.young)

    def state_of(self, order_id: UUID) -> str:
        order = self.orders.get(order_id)
        return "unknown" if order is None else str(order["state"])


@asynccontextmanager
async def connected(databases: Mapping[str, str]) -> AsyncIterator[Connections]:
    """A connection to each database, under the same name. `databases` are asyncpg URLs."""
    async with AsyncExitStack() as stack:
        connections: dict[str, Connection] = {}
        for name, url in databases.items():
            connections[name] = await asyncpg.connect(url)
            stack.push_async_callback(connections[name].close)
        yield connections


async def take_snapshot(connections: Connections, grace_seconds: float) -> Snapshot:
    """Each database as it is at one moment of its own.

    Purchases that moved in between are young: they are looked for last. With `grace_seconds` 0
    none is, for then the caller says that everything has come to rest.
    """
    since = {
        name: await connection.fetchval("SELECT now() - $1 * interval '1 second'", grace_seconds)
        for name, connection in connections.items()
    }
    async with AsyncExitStack() as moments:
        for connection in connections.values():
            moment = connection.transaction(isolation="repeatable_read", readonly=True)
            await moments.enter_async_context(moment)
        read: dict[str, Any] = {
            "orders": _by_order(await connections["orders"].fetch(ORDERS, grace_seconds)),
            "customers": await connections["customers"].fetch(CUSTOMERS),
            "credit": _by_order(await connections["customers"].fetch(CREDIT)),
            "vehicles": await connections["vehicles"].fetch(VEHICLES),
            "reservations": _by_order(await connections["vehicles"].fetch(RESERVATIONS)),
            "payments": _by_order(await connections["payments"].fetch(PAYMENTS)),
            "operations": await connections["payments"].fetch(OPERATIONS),
            "payouts": _by_order(await connections["payouts"].fetch(PAYOUTS)),
            "transfers": await connections["payouts"].fetch(TRANSFERS),
        }
    young = await _moved(connections, since) if grace_seconds else set()
    return Snapshot(**read, young=frozenset(young))


def _by_order(rows: Sequence[Row]) -> Records:
    return {row["order_id"]: row for row in rows}


async def _moved(connections: Connections, since: Mapping[str, datetime]) -> set[UUID]:
    """Purchases an event was stated about since then. Orders hears of nearly all of them, and
    remembers where no archive does.
    """
    heard = await connections["orders"].fetch(HEARD_SINCE, since["orders"])
    moved: set[UUID] = {row["id"] for row in heard}
    for name, connection in connections.items():
        told = await connection.fetch(TOLD_SINCE, since[name])
        moved |= {UUID(row["subject"]) for row in told}
    return moved
