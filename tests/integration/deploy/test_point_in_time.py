"""A backup and the archived write-ahead log restore the state of any later moment."""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.backup import job
from deploy.backup.cluster import Server
from deploy.backup.failure import BackupFailed
from deploy.backup.files import serving
from deploy.backup.restoring import Place, put_back
from deploy.backup.sets import Folder
from deploy.servers.ports import Ports
from deploy.servers.postgres import server_user, start_postgres
from deploy.servers.processes import Children
from tests.fixtures.servers import server_folder
from tests.integration.deploy.systems import private_only

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(300), private_only]
PASSWORD = "secret"


def nothing(*_: object) -> None:
    pass


class Archiving:
    """An `Archiving` server archives its write-ahead log as docs/operations.md says."""

    def __init__(self, folder: Path) -> None:
        self.children = Children(folder, tied=True)
        self.port = Ports().pick()
        self.log = folder / "log"
        self.log.mkdir()
        if (user := server_user()) is not None:
            shutil.chown(self.log, user)
        self.backups = Folder(folder / "backups")
        self.place = Place(folder / "restored", folder / "keys.json", folder / "ledger.jsonl")
        self.place.keys.write_text('{"postgres": "secret"}')
        self._start()
        self.sql("ALTER SYSTEM SET archive_mode = on")
        command = f"test ! -f {self.log}/%f && cp %p {self.log}/%f"
        self.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
        self.children.stop()
        self._start()

    def _start(self) -> None:
        start_postgres(self.children, self.port, PASSWORD, durable=False)

    def sql(self, statement: str) -> Any:
        return asyncio.run(_ask(statement, host="127.0.0.1", port=self.port, password=PASSWORD))

    def back_up(self) -> None:
        server = Server(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres")
        job.run(
            self.backups, job.Source(server, self.place.ledger, self.place.keys), nothing, nothing
        )

    def archived(self) -> None:
        """Wait until everything written so far is in the archive."""
        name = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        until = "SELECT last_archived_wal >= $1 FROM pg_stat_archiver".replace("$1", f"'{name}'")
        for _ in range(600):
            if self.sql(until):
                return
            self.sql("SELECT pg_sleep(0.1)")
        raise AssertionError(f"{name} is not archived")


async def _ask(statement: str, **where: Any) -> Any:
    connection = await asyncpg.connect(user="postgres", database="postgres", **where)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archiving]:
    with server_folder() as folder:
        made = Archiving(folder)
        monkeypatch.setenv("BACKUP_LOG", str(made.log))
        try:
            yield made
        finally:
            made.children.stop()


def test_a_table_dropped_by_mistake_is_there_again_with_all_rows_up_to_that_moment(
    server: Archiving,
) -> None:
    server.sql("CREATE TABLE sales AS SELECT 1 AS n")
    server.back_up()
    server.sql("INSERT INTO sales VALUES (2)")
    moment: datetime = server.sql("SELECT clock_timestamp()")
    server.sql("SELECT pg_sleep(0.05)")
    server.sql("INSERT INTO sales VALUES (3)")
    server.sql("DROP TABLE sales")
    server.archived()
    [name] = server.backups.names()
    found = server.backups.read(name)

    put_back(server.backups, found, server.place, until=(moment, server.log), tell=nothing)

    with serving(server.place.data) as sockets:
        rows = "SELECT array_agg(n ORDER BY n) FROM sales"
        assert asyncio.run(_ask(rows, host=str(sockets))) == [1, 2]
        assert asyncio.run(_ask("SHOW restore_command", host=str(sockets))) == ""
    for until, words in (
        (found.started_at - timedelta(seconds=1), "ends later"),
        (moment + timedelta(days=1), "no server starts on the restored files"),  # not logged yet
    ):
        with pytest.raises(BackupFailed, match=words):
            put_back(server.backups, found, server.place, until=(until, server.log), tell=nothing)


def test_the_log_before_the_oldest_backup_goes(server: Archiving) -> None:
    for _ in range(3):
        server.sql("CREATE TABLE IF NOT EXISTS filled (n int)")
        server.sql("INSERT INTO filled VALUES (1)")
        server.archived()
    before = {each.name for each in server.log.iterdir()}

    server.back_up()

    [name] = server.backups.names()
    first = server.backups.read(name).log
    left = {each.name for each in server.log.iterdir()}
    assert {each for each in before if each < first}
    assert not {each for each in left if each < first}
