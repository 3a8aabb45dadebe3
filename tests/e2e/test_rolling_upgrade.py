"""Old code runs on migrated tables with columns that it does not know, until a new release has
replaced every service.
"""

import asyncpg
import pytest

from deploy.demo.market import Market
from deploy.demo.scenarios import bought_and_picked_up, cancelled_after_paying
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(300)]

TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    AND relname <> 'alembic_version'
"""


async def test_old_code_serves_purchases_on_the_schema_of_the_next_release(
    system: System, market: Market
) -> None:
    await bought_and_picked_up(market)  # statements are prepared for the old tables
    await _change_each_table(system, "ADD COLUMN of_the_next_release text NOT NULL DEFAULT 'new'")
    try:
        await bought_and_picked_up(market)
        await cancelled_after_paying(market)
        await invariants_hold(system)
    finally:
        await _change_each_table(system, "DROP COLUMN of_the_next_release")


async def _change_each_table(system: System, change: str) -> None:
    for url in system.databases.values():
        database = await asyncpg.connect(url)
        try:
            tables = [row[0] for row in await database.fetch(TABLES)]
            assert "outbox" in tables, tables
            for table in tables:
                await database.execute(f"ALTER TABLE {table} {change}")
        finally:
            await database.close()
