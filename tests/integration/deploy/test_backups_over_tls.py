"""Backups work with a server that refuses plain text. It is Debian's Postgres, because the
package's own has no TLS.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.backup import files
from deploy.backup.backing_up import back_up
from deploy.backup.cluster import Server
from deploy.backup.failure import BackupFailed
from deploy.backup.restoring import Place, put_back
from deploy.backup.sets import BackupSet, Folder
from deploy.certificates import Authority
from deploy.installation import BACKUP
from tests.fixtures.postgres_15 import PROGRAMS, running_postgres_15
from tests.fixtures.servers import server_folder
from tests.integration.deploy.systems import private_only

pytestmark = [pytest.mark.long, pytest.mark.slow, private_only]
PASSWORD = "of-who-makes-backups"


def nothing(*_: object) -> None:
    pass


class System:
    """`url` is the URL of the role that makes backups, without the part about TLS."""

    def __init__(self, folder: Path, superuser_url: str, authority: Authority) -> None:
        self.superuser_url = superuser_url
        place = urlsplit(superuser_url).netloc.rpartition("@")[2]
        self.url = f"postgresql://{BACKUP}:{PASSWORD}@{place}/postgres"
        self.trust = authority.database_parameters
        self.place = Place(folder / "restored", folder / "secrets.json", folder / "ledger.jsonl")
        self.place.keys.write_text('{"postgres": "another"}')
        self.backups = Folder(folder / "backups")

    async def sql(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.superuser_url)
        for each in statements:
            await connection.execute(each)
        await connection.close()

    def back_up(self, parameters: str) -> BackupSet:
        server = Server(f"{self.url}?{parameters}")
        with self.backups.exclusive():
            return asyncio.run(
                back_up(self.backups, server, self.place.ledger, self.place.keys, nothing)
            )


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Authority]]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.make()
    with running_postgres_15(authority) as server:
        yield server.url, authority


@pytest.fixture
def system(servers: tuple[str, Authority], monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    monkeypatch.setenv("POSTGRES_BIN", str(PROGRAMS))
    with server_folder() as folder:
        made = System(folder, *servers)
        asyncio.run(
            made.sql(
                f"DROP ROLE IF EXISTS {BACKUP}",
                f"CREATE ROLE {BACKUP} LOGIN REPLICATION PASSWORD '{PASSWORD}'",
                "DROP TABLE IF EXISTS kept",
                "CREATE TABLE kept AS SELECT 42 AS n",
            )
        )
        yield made


def test_a_backup_over_tls_becomes_a_server_again(system: System) -> None:
    made = system.back_up(system.trust)

    put_back(system.backups, made, system.place, until=None, tell=nothing)

    assert made.postgres == 15

    async def kept(sockets: Path) -> object:
        connection = await asyncpg.connect(host=str(sockets), user="postgres", database="postgres")
        try:
            return await connection.fetchval("SELECT n FROM kept")
        finally:
            await connection.close()

    with files.serving(system.place.data) as sockets:
        assert asyncio.run(kept(sockets)) == 42


def test_no_backup_is_made_in_plain_text(system: System) -> None:
    with pytest.raises(BackupFailed, match=r"no pg_hba\.conf entry .* no encryption") as refused:
        system.back_up("sslmode=disable")

    assert "\n" not in str(refused.value)
    assert system.backups.names() == []


def test_no_backup_is_made_of_a_server_that_another_authority_vouches_for(
    system: System, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    other.make()

    with pytest.raises(BackupFailed, match="certificate") as refused:
        system.back_up(other.database_parameters)

    assert "\n" not in str(refused.value)
    assert system.backups.names() == []
