"""The statements of the runbook run on the real server."""

import re
from pathlib import Path

import asyncpg

from tests.fixtures.servers import PostgresServer

RUNBOOK = Path(__file__).parents[3] / "docs" / "operations.md"
BLOCK = re.compile(r"^ *```sql\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


async def test_every_statement_of_the_runbook_runs(postgres_server: PostgresServer) -> None:
    statements = [
        statement
        for block in BLOCK.findall(RUNBOOK.read_text())
        for statement in block.split(";")
        if statement.strip()
    ]
    assert statements
    connection = await asyncpg.connect(postgres_server.url)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for statement in statements:
            await connection.fetch(statement)
    finally:
        await connection.close()
