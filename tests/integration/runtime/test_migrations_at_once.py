"""Of two migrations of one database at the same time, one waits for the other, and both succeed."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from libs.runtime.migrations import LOCK, SERVICES, configuration, migrate
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer, fresh_database

ROUNDS = 5
MIGRATE_EACH_LINE = """
import sys
from pathlib import Path
from sqlalchemy import make_url
from libs.runtime import migrations
migrations.SERVICES = Path(sys.argv[1])
print("ready", flush=True)
for url in sys.stdin:
    try:
        migrations.migrate("orders", make_url(url.strip()), "upgrade", "head")
    except Exception as error:
        print(" ".join(str(error).split()), flush=True)
    else:
        print("done", flush=True)
"""
LATER = """
from alembic import op
revision = "later"
down_revision = {head!r}
def upgrade() -> None:
    op.execute("CREATE TABLE later (id bigint)")
"""


class Migrator:
    """A `Migrator` is a process that migrates each database whose name it reads."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._said, self._says = process.stdin, process.stdout

    async def migrate(self, url: str) -> str:
        self._said.write(f"{url}\n".encode())
        return await self.line()

    async def line(self) -> str:
        return (await self._says.readline()).decode().strip()


@asynccontextmanager
async def migrator(services: Path) -> AsyncIterator[Migrator]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MIGRATE_EACH_LINE,
        str(services),
        cwd=SERVICES.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Migrator(process)
    try:
        assert await made.line() == "ready"
        yield made
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def with_a_later_revision(folder: Path) -> Path:
    scripts = folder / "orders" / "infrastructure" / "migrations"
    shutil.copytree(SERVICES / "orders" / "infrastructure" / "migrations", scripts)
    history = ScriptDirectory.from_config(configuration("orders", make_url("postgresql://")))
    later = LATER.format(head=history.get_current_head())
    (scripts / "versions" / "9999_later.py").write_text(later)
    return folder


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("pending", [False, True], ids=["empty database", "second revision"])
async def test_two_migrations_at_once_both_succeed(
    postgres_server: PostgresServer, tmp_path: Path, pending: bool
) -> None:
    services = with_a_later_revision(tmp_path) if pending else SERVICES
    async with migrator(services) as one, migrator(services) as other:
        for _ in range(ROUNDS):
            async with fresh_database(postgres_server) as url:
                if pending:
                    await asyncio.to_thread(migrate, "orders", make_url(url), "upgrade", "head")
                answers = await asyncio.gather(one.migrate(url), other.migrate(url))
                assert list(answers) == ["done", "done"]


@pytest.mark.long
async def test_a_migration_that_waits_says_so_and_has_made_nothing(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        holder = await asyncpg.connect(database.replace("+asyncpg", ""))
        stack.push_async_callback(holder.close)
        await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
        waiting = asyncio.create_task(
            asyncio.to_thread(migrate, "orders", make_url(database), "upgrade", "head")
        )

        async def says_so() -> bool:
            return "another process migrates" in caplog.text

        await eventually(says_so)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert await holder.fetchval(tables) == 0
        await holder.execute(f"SELECT pg_advisory_unlock({LOCK})")
        await waiting
        assert await holder.fetchval(tables) > 0
