"""A base backup copies the files of a whole Postgres server while the server works.

It holds all databases at one moment of one write-ahead log. Dumps could not, because Postgres has
no snapshot over several databases: of two services' dumps one may hold a purchase that the other
does not know, and sending events again does not repair that.
"""

import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, cast
from urllib.parse import unquote, urlsplit

import asyncpg

from deploy.backup.failure import BackupFailed
from deploy.backup.sealed import Compressed, seal
from deploy.servers.postgres import server_environment, server_programs

REPORT_EVERY_SECONDS = 0.2
STATE = """
    SELECT clock_timestamp() AS now, current_setting('server_version_num')::int / 10000 AS version,
           pg_walfile_name(pg_current_wal_lsn()) AS log,
           (SELECT sum(pg_database_size(oid)) FROM pg_database)::bigint AS bytes"""
SLOT = "SELECT pg_create_physical_replication_slot($1, true, true)"

Tell = Callable[[int, int], None]
"""This function receives the number of bytes done, and about how many there are."""


@dataclass(frozen=True)
class Server:
    """A running server is a URL whose role may replicate, in the form of libpq and asyncpg."""

    url: str = field(repr=False)

    @property
    def address(self) -> str:
        """Return the URL without its password, which may be shown."""
        parts = urlsplit(self.url)
        account, _, place = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{account.partition(':')[0]}@{place}").geturl()

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment of Postgres' client programs, whose argument is `address`."""
        return {**server_environment(), "PGPASSWORD": unquote(urlsplit(self.url).password or "")}


@dataclass(frozen=True)
class Taken:
    """The times are the server's; its files are as they were at a moment between the two. `log` is
    the first file of the write-ahead log that continues from them.
    """

    started_at: datetime
    finished_at: datetime
    postgres: int
    log: str
    checksum: str


async def take(server: Server, place: Path, recipient: str, tell: Tell) -> Taken:
    """Write a base backup to the new file `place`, compressed and encrypted.

    Raises BackupFailed or OSError; a part of the file may exist then.
    """
    try:
        connection = await asyncpg.connect(server.url)
    except (OSError, asyncpg.PostgresError) as error:
        raise BackupFailed(f"the database server: {' '.join(str(error).split())}") from None
    try:
        [state] = await connection.fetch(STATE)
        # While the slot exists, the server keeps the log that a backup needs at its end.
        await connection.fetch(SLOT, f"backup_{secrets.token_hex(8)}")
        checksum = _copy(server, place, recipient, lambda done: tell(done, state["bytes"]))
        now = await connection.fetchval("SELECT clock_timestamp()")
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise BackupFailed(f"the database server: {error}") from None
    finally:
        await connection.close(timeout=5)
    return Taken(state["now"], now, state["version"], state["log"], checksum)


def _copy(server: Server, place: Path, recipient: str, tell: Callable[[int], None]) -> str:
    with tempfile.TemporaryFile() as words:
        program = subprocess.Popen(
            [
                server_programs(None) / "pg_basebackup",
                *("--pgdata=-", "--format=tar", "--wal-method=fetch", "--checkpoint=fast"),
                *("--manifest-checksums=SHA256", "--no-password", f"--dbname={server.address}"),
            ],
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
        )
        with program:  # closes its output, so that it ends when nobody reads
            output = cast("IO[bytes]", program.stdout)
            checksum = seal(Compressed(_Told(output, tell)), place, recipient)
        code = program.returncode
        if code:
            words.seek(0)
            lines = words.read().decode(errors="replace").strip().splitlines()
            raise BackupFailed(lines[-1] if lines else f"pg_basebackup ended with code {code}")
    return checksum


class _Told:
    """This reader reports from time to time how much was read."""

    def __init__(self, source: IO[bytes], tell: Callable[[int], None]) -> None:
        self._source = source
        self._tell = tell
        self._done = 0
        self._reported = 0.0

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._done += len(data)
        if not data or time.monotonic() >= self._reported + REPORT_EVERY_SECONDS:
            self._tell(self._done)
            self._reported = time.monotonic()
        return data
