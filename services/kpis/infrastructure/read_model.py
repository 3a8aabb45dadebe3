"""The read model folds facts into one row for each purchase, payout, vehicle and customer.

Each type of event sets columns of its own, so facts may come in any order and more than once. Where
several events set the same columns, the subject's sequence decides which is the newest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Table, case, delete, func, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.kernel.ids import time_of
from services.kpis.domain.fact import Fact
from services.kpis.infrastructure.tables import (
    READ_MODEL,
    customers,
    facts,
    payouts,
    purchases,
    vehicles,
)

Values = dict[str, Any]
KEY = ("subject", "tenant_id")
MONTHS = {
    "sold_at": "sold_month",
    "ended_at": "ended_month",
    "due_at": "due_month",
    "listed_at": "listed_month",
    "registered_at": "registered_month",
}
"""The column on the right holds the month of the instant in the column on the left."""


@dataclass(frozen=True)
class Fold:
    """A fold says what facts of one type set in a table. `values` returns None where a fact changes
    nothing in the table. The columns named in `newest` are set only where no newer fact has set
    them.
    """

    table: Table
    values: Callable[[Fact], Values | None]
    newest: tuple[str, ...] = ()

    def row(self, fact: Fact, zone: tzinfo) -> Values | None:
        """Return the row, whose months are those of the time zone `zone`."""
        values = self.values(fact)
        if values is None:
            return None
        months = {MONTHS[name]: _month(at, zone) for name, at in values.items() if name in MONTHS}
        counted = {"sequence": fact.sequence} if self.newest else {}
        return {
            "subject": fact.subject,
            "tenant_id": fact.tenant_id,
            **values,
            **months,
            **counted,
        }

    def upsert(self, columns: Iterable[str]) -> Insert:
        statement = insert(self.table)
        there, new = self.table.c, statement.excluded
        changes: Values = {name: new[name] for name in columns if name not in KEY}
        for name in (*self.newest, "sequence") if self.newest else ():
            newer = new["sequence"] >= there["sequence"]
            changes[name] = case((newer, new[name]), else_=there[name])
        return statement.on_conflict_do_update(index_elements=["subject"], set_=changes)


class PostgresReadModel:
    def __init__(self, connection: AsyncConnection, zone: tzinfo) -> None:
        self._connection = connection
        self._zone = zone

    async def fold(self, facts: Sequence[Fact]) -> None:
        """Lock rows in the order of their subjects, so that two batches do not deadlock."""
        ordered = sorted(facts, key=lambda fact: (fact.type, fact.subject))
        for event_type, alike in groupby(ordered, key=lambda fact: fact.type):
            if fold := FOLDS.get(event_type):
                rows = [row for fact in alike if (row := fold.row(fact, self._zone)) is not None]
                if rows:
                    await self._connection.execute(fold.upsert(rows[0]), rows)

    async def forget(self, subjects: Sequence[UUID]) -> None:
        for table in READ_MODEL:
            rows = table.c.subject == func.any(list(subjects))
            await self._connection.execute(delete(table).where(rows))

    async def forget_what_no_fact_says(self) -> None:
        for table in READ_MODEL:
            said = select(facts.c.event_id).where(facts.c.subject == table.c.subject)
            await self._connection.execute(delete(table).where(~said.exists()))


def _month(instant: datetime, zone: tzinfo) -> str:
    return instant.astimezone(zone).strftime("%Y-%m")


def _started_at(fact: Fact) -> datetime | None:
    """Return when the order was made, which its id says, or None for an id without a time."""
    try:
        return time_of(fact.subject)
    except ValueError:
        return None


def _id(fact: Fact, name: str) -> UUID | None:
    return UUID(fact.data[name]) if fact.data[name] is not None else None


def _purchase(fact: Fact) -> Values:
    return {
        "customer_id": _id(fact, "customer_id"),
        "vehicle_id": _id(fact, "vehicle_id"),
        "amount_cents": fact.data["total_cents"],
        "started_at": _started_at(fact),
    }


def _sale(fact: Fact) -> Values:
    return _purchase(fact) | {
        "seller_id": _id(fact, "seller_id"),
        "sold_at": fact.occurred_at,
    }


def _end(outcome: str) -> Callable[[Fact], Values]:
    return lambda fact: (
        _purchase(fact)
        | {
            "outcome": outcome,
            "reason": fact.data["reason"],
            "ended_at": fact.occurred_at,
        }
    )


def _due_payout(fact: Fact) -> Values | None:
    """Return None for an order without a purchase, which owes no seller anything."""
    if fact.data["seller_id"] is None:
        return None
    return {
        "order_id": fact.subject,
        "seller_id": _id(fact, "seller_id"),
        "amount_cents": fact.data["total_cents"],
        "due_at": fact.occurred_at,
    }


def _payout(status: str) -> Callable[[Fact], Values]:
    return lambda fact: {
        "order_id": _id(fact, "order_id"),
        "seller_id": _id(fact, "seller_id"),
        "amount_cents": fact.data["amount_cents"],
        "status": status,
    }


def _vehicle(fact: Fact) -> Values:
    return {
        "seller_id": _id(fact, "seller_id"),
        "make": fact.data["make"],
        "model": fact.data["model"],
        "year": fact.data["year"],
        "price_cents": fact.data["price_cents"],
        "sold_by_hand": fact.data.get("is_sold", False),
    }


def _at(instant: str) -> Callable[[Fact], Values]:
    return lambda fact: {instant: fact.occurred_at}


def _listing(fact: Fact) -> Values:
    return _vehicle(fact) | _at("listed_at")(fact)


_DETAILS = ("seller_id", "make", "model", "year", "price_cents", "sold_by_hand")

FOLDS: dict[str, Fold] = {
    "order.completed.v1": Fold(purchases, _sale),
    "order.failed.v1": Fold(purchases, _end("failed")),
    "order.cancelled.v1": Fold(purchases, _end("cancelled")),
    "order.closed.v1": Fold(payouts, _due_payout),
    "payout.completed.v1": Fold(payouts, _payout("paid"), newest=("status",)),
    "payout.failed.v1": Fold(payouts, _payout("failed"), newest=("status",)),
    "vehicle.listed.v1": Fold(vehicles, _listing, newest=_DETAILS),
    "vehicle.updated.v1": Fold(vehicles, _vehicle, newest=_DETAILS),
    "vehicle.withdrawn.v1": Fold(vehicles, _at("withdrawn_at")),
    "customer.registered.v1": Fold(customers, _at("registered_at")),
    "customer.erased.v1": Fold(customers, _at("erased_at")),
}
"""Each type of event has its fold. A fact of any other type is kept and not shown yet."""
