"""A table whose rows wait for calls has these columns, and these statements claim what is due."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Case,
    Column,
    ColumnElement,
    DateTime,
    Index,
    Integer,
    Interval,
    Table,
    Update,
    Uuid,
    bindparam,
    case,
    false,
    func,
    null,
    select,
    text,
    update,
)

IN_A_WHILE: ColumnElement[Any] = func.now() + bindparam("call_in", type_=Interval)
"""This is the time of the next call, where `call_in` is the time until then."""


def call_columns(table: str, key: str) -> Sequence[Column[Any] | Index]:
    """Return the columns and indexes of calls. `key` orders a tenant's rows that need attention.

    `claim` is set while a worker calls. A row whose `next_attempt` is null waits for no call.
    """
    waiting, due = text("needs_attention"), text("next_attempt IS NOT NULL")
    return (
        Column("needs_attention", Boolean, nullable=False, server_default=false()),
        Column("attempts", Integer, nullable=False),
        Column("claim", Uuid),
        Column("next_attempt", DateTime(timezone=True)),
        Index(f"ix_{table}_needs_attention", "tenant_id", key, postgresql_where=waiting),
        Index(f"ix_{table}_due", "next_attempt", postgresql_where=due),
    )


def claim_due(table: Table, key: Column[Any], columns: Sequence[Column[Any]]) -> Update:
    """Return the statement that claims at most `most` rows whose call is due, except those that are
    locked already, and returns their `columns`. Each claim counts as an attempt and has an id of
    its own; the call is due again when the `lease` ends.
    """
    due = (
        select(key)
        .where(table.c.next_attempt <= func.now())
        .order_by(table.c.next_attempt)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(table)
        .where(key == due.c[key.name])
        .values(
            attempts=table.c.attempts + 1,
            claim=func.gen_random_uuid(),
            next_attempt=func.now() + bindparam("lease", type_=Interval),
        )
        .returning(*columns)
    )


def next_attempt(table: Table) -> Case[Any]:
    """Return the new `next_attempt` of a saved row: null unless the row `awaits_call`; the time
    decided before where `call_in` is None.
    """
    decided = func.coalesce(IN_A_WHILE, table.c.next_attempt)
    return case((bindparam("awaits_call", type_=Boolean), decided), else_=null())
