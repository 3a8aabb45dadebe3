"""The parameters of a DATABASE_URL apply to everything that connects to the database."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from libs.messaging.database import connect
from libs.runtime.database import check_database, create_engine
from libs.runtime.start_failure import StartFailure
from tests.fixtures.servers import PostgresServer
from tests.integration.runtime.notes import NotesSettings

PARAMETERS = (
    "sslmode=prefer&channel_binding=prefer&connect_timeout=3&application_name=ours"
    "&options=-c%20work_mem%3D7MB&target_session_attrs=read-write"
)
SHOWN = text("SELECT current_setting('application_name'), current_setting('work_mem')")


def settings(url: str) -> NotesSettings:
    return NotesSettings(_env_file=None, database_url=url, role="api")


async def command(url: str, *arguments: str) -> tuple[int, str]:
    """Run `python -m` with this DATABASE_URL. Returns its exit code and all its output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        env={**os.environ, "DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """Yield the port of a server that accepts connections and never answers."""
    held = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in held:
            writer.close()


async def test_the_pool_and_the_relays_connection_have_them(database: str) -> None:
    url = f"{database}?{PARAMETERS}"
    engine = create_engine(settings(url))
    async with engine.connect() as connection:
        assert tuple((await connection.execute(SHOWN)).one()) == ("ours", "7MB")
    await engine.dispose()
    plain = await connect(settings(url).database_dsn, "relay")
    assert tuple(await plain.fetchrow(str(SHOWN)) or ()) == ("ours", "7MB")
    await plain.close()


async def test_migrations_and_command_lines_take_them(notes_database: str) -> None:
    url = f"{notes_database}?{PARAMETERS}"
    code, said = await command(url, "libs.messaging", "outbox", "status")
    assert (code, said) == (0, "0 waiting, the oldest for 0.0 s\n")
    code, said = await command(url, "libs.runtime.migrations", "orders", "current")
    assert code == 0, said


@pytest.mark.parametrize(
    "arguments",
    [("libs.messaging", "outbox", "status"), ("libs.runtime.migrations", "orders", "current")],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sslmode=on", "sslmode is one of disable, allow, prefer"),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem: No such file"),
    ],
)
async def test_a_command_line_refuses_in_one_line(
    database: str, arguments: tuple[str, ...], query: str, words: str
) -> None:
    code, said = await command(f"{database}?{query}", *arguments)
    assert code != 0
    (line,) = said.splitlines()
    assert line.startswith("error: ")
    assert words in line


async def test_a_silent_first_host_leaves_time_for_the_second(
    postgres_server: PostgresServer, database: str
) -> None:
    async with silent_port() as port:
        account, at, rest = database.rpartition("@")
        url = f"{account}{at}127.0.0.1:{port},{rest}?connect_timeout=1"
        await check_database(settings(url))


async def test_a_url_without_a_host_of_the_wanted_kind_is_one_line(database: str) -> None:
    with pytest.raises(StartFailure, match="target attribute requirement"):
        await check_database(settings(f"{database}?target_session_attrs=standby"))


async def test_any_host_does_where_a_standby_is_only_preferred(database: str) -> None:
    await check_database(settings(f"{database}?target_session_attrs=prefer-standby"))
