"""The schema goes up, down to nothing, and up again, and is the one the code uses."""

import asyncio

from sqlalchemy import make_url

from libs.runtime.migrations import migrate
from tests.integration.portal.conftest import execute


async def test_the_schema_goes_up_down_and_up_again_without_drift(database: str) -> None:
    url = make_url(database)
    for command in (["upgrade", "head"], ["downgrade", "base"]):
        await asyncio.to_thread(migrate, "portal", url, *command)
    assert await relations(database) == ["alembic_version"]
    for command in (["upgrade", "head"], ["check"]):
        await asyncio.to_thread(migrate, "portal", url, *command)


async def relations(database: str) -> list[str]:
    rows = await execute(
        database,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'S')",
    )
    return [row["relname"] for row in rows]
