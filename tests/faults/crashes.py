"""Runs processes that kill themselves at a named point of `tests.faults.dying`."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from tests.fixtures.polling import eventually

ROOT = Path(__file__).parents[2]


async def dies_at(
    point: str,
    program: str,
    *arguments: str,
    database: str,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Return when the process has killed itself at its point, and `database` has ended its
    transactions: the server keeps their locks until it sees the closed connection.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.dying",
        point,
        program,
        *arguments,
        env={**os.environ, **(environment or {})},
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        _, said = await process.communicate()
        raise AssertionError(f"it lives on after {point}: {said.decode()[-2000:]}") from None
    assert process.returncode == -signal.SIGKILL, said.decode()[-2000:]
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        await eventually(lambda: _rests(connection))
    finally:
        await connection.close()


async def _rests(connection: asyncpg.Connection) -> bool:
    """Return whether no other connection has a transaction open in the database."""
    return bool(
        await connection.fetchval(
            "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
        )
    )
