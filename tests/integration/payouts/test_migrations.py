import asyncio

from sqlalchemy import make_url

from libs.runtime.migrations import migrate


async def test_schema_goes_up_down_and_up_and_is_what_the_code_says(database: str) -> None:
    for command in (("upgrade", "head"), ("downgrade", "base"), ("upgrade", "head"), ("check",)):
        await asyncio.to_thread(migrate, "payouts", make_url(database), *command)
