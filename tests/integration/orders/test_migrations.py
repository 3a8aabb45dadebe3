"""The schema's history: forth, back and forth again, and no drift from the tables in the code."""

import asyncio

from sqlalchemy import make_url

from libs.runtime.migrations import migrate


async def test_the_schema_goes_up_down_and_up_again_without_drift(database: str) -> None:
    url = make_url(database)
    for step in (["upgrade", "head"], ["downgrade", "base"], ["upgrade", "head"], ["check"]):
        await asyncio.to_thread(migrate, "orders", url, *step)
