import asyncio
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from libs.runtime.migrations import migrate
from services.vehicles.infrastructure.tables import metadata, reservations, vehicles

INDEXES = text(
    "SELECT replace(indexdef, schemaname || '.', '') FROM pg_indexes"
    " WHERE schemaname = :schema AND tablename IN ('vehicles', 'reservations') ORDER BY 1"
)
CONSTRAINTS = text(
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
    " AND connamespace = cast(:schema AS regnamespace) ORDER BY 1"
)


async def test_conditions_of_indexes_and_tables_are_what_the_code_says(database: str) -> None:
    """Alembic compares neither the conditions of partial indexes nor check constraints."""
    await asyncio.to_thread(migrate, "vehicles", make_url(database), "upgrade", "head")
    engine = create_async_engine(database)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA declared"))
        translated = await connection.execution_options(schema_translate_map={None: "declared"})
        await translated.run_sync(metadata.create_all, tables=[vehicles, reservations])
        assert await described(connection, "declared") == await described(connection, "public")
    await engine.dispose()


async def described(connection: AsyncConnection, schema: str) -> list[Any]:
    indexes = await connection.execute(INDEXES, {"schema": schema})
    constraints = await connection.execute(CONSTRAINTS, {"schema": schema})
    return [*indexes.all(), *constraints.all()]
