"""Alembic without an alembic.ini: one history per service, run by this module.

    python -m libs.runtime.migrations SERVICE upgrade head

A service's `migrations/env.py` is `run(metadata)`. MIGRATOR_DATABASE_URL wins over DATABASE_URL.
"""

import asyncio
from pathlib import Path

from alembic import context
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from libs.messaging.partitions import include_name

SERVICES = Path("services")


def run(metadata: MetaData) -> None:
    """What a service's env.py does: connect, become the tables' owner, migrate."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection, metadata)
    else:
        asyncio.run(_connect_and_migrate(metadata))


async def _connect_and_migrate(metadata: MetaData) -> None:
    engine = create_async_engine(context.config.attributes["url"], poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, metadata)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    _become_owner(connection)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _become_owner(connection: Connection) -> None:
    """SERVICE_migrator creates as SERVICE_owner, so that tables belong to a role without login."""
    user = connection.scalar(text("SELECT current_user"))
    owner = f"{str(user).removesuffix('_migrator')}_owner"
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :name AND pg_has_role(oid, 'MEMBER')")
    if owner != user and connection.scalar(known, {"name": owner}):
        connection.exec_driver_sql(f'SET ROLE "{owner}"')
    connection.commit()
