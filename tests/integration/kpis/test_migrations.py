"""The schema goes up, down to nothing, and up again, and is the one the code uses."""

import asyncio

import asyncpg
from sqlalchemy import make_url

from libs.runtime.migrations import migrate


async def test_the_schema_goes_up_down_and_up_again_without_drift(database: str) -> None:
    url = make_url(database)
    for command in (["upgrade", "head"], ["downgrade", "base"]):
        await asyncio.to_thread(migrate, "kpis", url, *command)
    assert await relations(database) == ["alembic_version"]
    for command in (["upgrade", "head"], ["check"]):
        await asyncio.to_thread(migrate, "kpis", url, *command)


async def relations(database: str) -> list[str]:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'S', 'v')"
            " AND relnamespace IN ('public'::regnamespace, 'published'::regnamespace)"
        )
        return [row["relname"] for row in rows]
    finally:
        await connection.close()
