"""The contents of the databases about purchases, at about one moment, purchase by purchase.

Each service's records are read in the order of their order ids, and merged: only some thousands are
in memory at a time, however many there are.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.cursor import Cursor

from libs.messaging.database import Connection

Connections: TypeAlias = Mapping[str, Connection]


class Row(Protocol):
    """A record of the database, or any object with its columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


ORDERS = """
    SELECT id AS order_id, tenant_id, state, total_cents,
           coalesce(due_at < now() - $1 * interval '1 second', true) AS overdue
      FROM orders WHERE state IS NOT NULL ORDER BY id"""
CREDIT = """
    SELECT r.order_id, r.tenant_id, r.state, c.id IS NOT NULL AS known,
           CASE WHEN c.id IS NULL THEN r.customer_id END AS customer_id
      FROM credit_reservations r LEFT JOIN customers c ON c.id = r.customer_id
     ORDER BY r.order_id"""
RESERVATIONS = """
    SELECT r.order_id, r.tenant_id, r.state, v.id IS NOT NULL AS known, v.seller_id,
           CASE WHEN v.id IS NULL THEN r.vehicle_id END AS vehicle_id
      FROM reservations r LEFT JOIN vehicles v ON v.id = r.vehicle_id
     ORDER BY r.order_id"""
PAYMENTS = """
    SELECT order_id, p.tenant_id, p.state, p.settled_by IS NOT NULL AS settled,
           p.charge_settled_by IS NOT NULL AS charge_settled, p.needs_attention,
           greatest(coalesce(o.charges, 0), (p.charge_settled_by IS NOT NULL
                    AND p.charge_reference IS NOT NULL)::int) AS charges,
           coalesce(o.refunds, 0) AS refunds,
           o.charged, o.most_charged, o.refunded, o.most_refunded
      FROM payments p FULL JOIN (
           SELECT order_id,
                  count(*) FILTER (WHERE kind = 'charge') AS charges,
                  min(amount_cents) FILTER (WHERE kind = 'charge') AS charged,
                  max(amount_cents) FILTER (WHERE kind = 'charge') AS most_charged,
                  count(*) FILTER (WHERE kind = 'refund') AS refunds,
                  min(amount_cents) FILTER (WHERE kind = 'refund') AS refunded,
                  max(amount_cents) FILTER (WHERE kind = 'refund') AS most_refunded
             FROM sandbox_operations WHERE outcome = 'approved' GROUP BY order_id) o
     USING (order_id) ORDER BY order_id"""
PAYOUTS = """
    SELECT order_id, p.tenant_id, p.status AS state, p.seller_id, p.amount_cents,
           p.sequence > 0 AS told, p.needs_attention,
           coalesce(t.transfers, 0) AS transfers, p.settled_by IS NOT NULL AS settled,
           t.paid, t.most_paid, t.paid_to, t.also_paid_to
      FROM (SELECT * FROM payouts WHERE order_id IS NOT NULL) p FULL JOIN (
           SELECT substr(external_id, length('order:') + 1)::uuid AS order_id,
                  count(*) AS transfers,
                  min(amount_cents) AS paid, max(amount_cents) AS most_paid,
                  min(coalesce(seller_id::text, 'nobody')) AS paid_to,
                  max(coalesce(seller_id::text, 'nobody')) AS also_paid_to
             FROM sandbox_transfers WHERE paid AND external_id ~ '^order:[0-9a-f-]{36}$'
            GROUP BY 1) t
     USING (order_id) ORDER BY order_id"""
RECORDS = {
    "orders": ("order", ORDERS),
    "customers": ("credit", CREDIT),
    "vehicles": ("reservation", RESERVATIONS),
    "payments": ("payment", PAYMENTS),
    "payouts": ("payout", PAYOUTS),
}
"""The field of `Purchase` that holds a service's records, and the statement that reads them."""

AT_A_TIME = 5_000
"""The rows of each service in memory at a time."""

SESSION = {
    "application_name": "verify",
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "work_mem": "64MB",
    "jit": "off",
}


@dataclass(slots=True)
class Purchase:
    """What each service holds about it; None where there is nothing. `payment` and `payout` also
    exist where only the gateway's or the bank's books know of it; their state is None then. `state`
    is the order's, or "unknown".
    """

    order_id: UUID
    order: Row | None
    credit: Row | None
    reservation: Row | None
    payment: Row | None
    payout: Row | None
    state: str = field(init=False)

    def __post_init__(self) -> None:
        self.state = "unknown" if self.order is None else self.order["state"]

    @property
    def records(self) -> dict[str, Row | None]:
        """By service."""
        return {service: getattr(self, name) for service, (name, _) in RECORDS.items()}


@asynccontextmanager
async def connected(databases: Mapping[str, str], **settings: str) -> AsyncIterator[Connections]:
    """A read-only connection to each database, under the same name. `settings` are Postgres' own,
    in addition to those of every connection.
    """
    async with AsyncExitStack() as stack:
        connections: dict[str, Connection] = {}
        for name, url in databases.items():
            connections[name] = await asyncpg.connect(url, server_settings=SESSION | settings)
            stack.push_async_callback(connections[name].close)
        yield connections


@asynccontextmanager
async def at_one_moment(connections: Connections) -> AsyncIterator[None]:
    """Inside, each database shows its state at the time of entry, each at a moment of its own."""
    async with AsyncExitStack() as moments:
        for connection in connections.values():
            moment = connection.transaction(isolation="repeatable_read", readonly=True)
            await moments.enter_async_context(moment)
            await connection.execute("SELECT 1")  # the first statement fixes the moment
        yield


async def purchases(
    connections: Connections, grace_seconds: float
) -> AsyncIterator[Sequence[Purchase]]:
    """All purchases by order id, some thousands at a time. Only inside `at_one_moment`."""
    lanes = [
        _Lane(
            await connections[name].cursor(
                statement, *([grace_seconds] if statement is ORDERS else [])
            )
        )
        for name, (_, statement) in RECORDS.items()
    ]
    while True:
        await asyncio.gather(*(lane.fill() for lane in lanes))
        unread = [lane.rows[-1]["order_id"] for lane in lanes if not lane.at_end]
        if not unread and not any(lane.rows for lane in lanes):
            return
        until = min(unread) if unread else None
        yield list(_merged([lane.take(until) for lane in lanes]))


class _Lane:
    """One service's records, in order; `rows` are those read and not taken."""

    def __init__(self, cursor: "Cursor[asyncpg.Record]") -> None:
        self.rows: Sequence[Row] = []
        self.at_end = False
        self._cursor = cursor

    async def fill(self) -> None:
        if not self.rows and not self.at_end:
            self.rows = await self._cursor.fetch(AT_A_TIME)
            self.at_end = len(self.rows) < AT_A_TIME

    def take(self, until: UUID | None) -> dict[UUID, Row]:
        """The records up to this order id, or all."""
        end = len(self.rows) if until is None else _position(self.rows, until)
        taken, self.rows = self.rows[:end], self.rows[end:]
        return {row["order_id"]: row for row in taken}


_order_id: Callable[[Row], UUID] = itemgetter("order_id")


def _position(rows: Sequence[Row], until: UUID) -> int:
    return bisect_right(rows, until, key=_order_id)


def _merged(records: Sequence[Mapping[UUID, Row]]) -> Iterator[Purchase]:
    by_field = {name: each for (name, _), each in zip(RECORDS.values(), records, strict=True)}
    order_ids = dict.fromkeys(order_id for each in records for order_id in each)
    for order_id in order_ids:
        yield Purchase(order_id, **{name: each.get(order_id) for name, each in by_field.items()})
