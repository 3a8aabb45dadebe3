"""Reads from the databases what is not finished yet, and how purchases ended."""

from collections import Counter
from collections.abc import Collection, Mapping
from uuid import UUID

import asyncpg

from deploy.checker.snapshot import connected
from deploy.demo.market import FINAL_STATES

UNFINISHED = {
    "orders": f"SELECT count(*) FROM orders WHERE state NOT IN {tuple(sorted(FINAL_STATES))}",
    "payments": "SELECT count(*) FROM payments WHERE next_attempt IS NOT NULL",
    "payouts": "SELECT count(*) FROM payouts WHERE next_attempt IS NOT NULL",
}
LOST = "LOST"
OUTCOMES = "SELECT id, state FROM orders WHERE id = ANY ($1)"


async def what_is_left(databases: Mapping[str, str]) -> Counter[str]:
    """Return how many rows in outboxes, purchases and calls are not finished, by kind."""
    left: Counter[str] = Counter()
    async with connected(databases) as connections:
        for name, connection in connections.items():
            left[f"outbox of {name}"] = await connection.fetchval("SELECT count(*) FROM outbox")
        for name, statement in UNFINISHED.items():
            left[name] = await connections[name].fetchval(statement)
    return +left


async def outcomes(databases: Mapping[str, str], accepted: Collection[UUID]) -> Counter[str]:
    """Return the number of accepted purchases by state. `LOST` are those unknown to orders."""
    connection = await asyncpg.connect(databases["orders"])
    try:
        rows = await connection.fetch(OUTCOMES, list(accepted))
    finally:
        await connection.close()
    found = Counter(str(row["state"]) for row in rows)
    found[LOST] = len(accepted) - len(rows)
    return +found
