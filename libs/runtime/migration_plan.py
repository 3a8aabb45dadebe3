"""A plan shows the pending migrations of a database: their SQL, and the tables that they lock.

The migrations up to the database's revision are run on a scratch database, then the pending part of
it, and Postgres itself says after each statement what it has locked. The database in question is
only read: its revision, and the sizes of its tables.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, event, text

from libs.messaging.database import DATABASE_ERRORS, connect, describe_refusal, open_connection
from libs.messaging.database_url import parse_database_url
from libs.runtime.migrations import configuration, migrate
from libs.runtime.start_failure import StartFailure

REVISION = "SELECT version_num FROM alembic_version"
TABLES = """
    SELECT c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows,
           pg_total_relation_size(c.oid) AS bytes
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"""
HELD = """
    SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p')"""
FILES = """
    SELECT oid, relname, pg_relation_filenode(oid) FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"""
BOOKKEEPING = ("alembic_version", "pg_advisory", "SET ROLE")
TURNS = "hashtext('migration plan')"

KEEPS_OUT = {
    "AccessExclusiveLock": "nobody reads or writes it",
    "ExclusiveLock": "nobody writes it",
    "ShareRowExclusiveLock": "nobody writes it",
    "ShareLock": "nobody writes it",
}
"""These locks block others, the strongest first. A connection that only reads holds none of them.
"""


@dataclass(frozen=True)
class Table:
    """`rows` is Postgres' estimate, 0 where it has none."""

    rows: int
    bytes: int


@dataclass
class Statement:
    """`locks` are those that it adds, by table; they last until the migration is over. `rewrites`
    are tables whose rows are all written anew.
    """

    sql: str
    locks: dict[str, str] = field(default_factory=dict)
    rewrites: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pending:
    """`revision` is None for an empty database. `tables` are those that exist now."""

    service: str
    revision: str | None
    head: str
    revisions: Sequence[str]
    tables: Mapping[str, Table]
    texts: Sequence[str] = field(repr=False)

    @property
    def digest(self) -> bytes:
        """Return the plan's id: two plans have the same id only when they make the same change."""
        words = (self.service, self.revision or "", *self.revisions, *self.texts)
        return hashlib.sha256("\0".join(words).encode()).digest()


async def pending(service: str, database_url: str) -> Pending:
    """Plan what is pending. `database_url` is that of a role that may read the tables' sizes.
    Raises StartFailure, also for a database that is at a revision this code does not know.
    """
    try:
        connection = await connect(database_url, "migration plan")
        try:
            known = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
            revision = await connection.fetchval(REVISION) if known else None
            tables = await connection.fetch(TABLES)
        finally:
            await connection.close()
    except DATABASE_ERRORS as error:
        raise StartFailure(describe_refusal(error, parse_database_url(database_url))) from None
    history = ScriptDirectory.from_config(configuration(service, URL.create("postgresql")))
    known_here = {each.revision for each in history.walk_revisions()}
    if revision is not None and revision not in known_here:
        raise StartFailure(
            f"{service} is at revision {revision}, which this code does not know: it is older"
        )
    steps = list(reversed(list(history.iterate_revisions("head", revision or "base"))))
    return Pending(
        service,
        revision,
        history.get_current_head() or "",
        [each.revision for each in steps],
        {row["name"]: Table(row["rows"], row["bytes"]) for row in tables},
        [_text(each.path) for each in steps],
    )


async def play(wanted: Pending, scratch_url: str) -> list[Statement]:
    """Run the plan on a scratch database at the server of `scratch_url`, with a role that may
    create databases, and drop it again. Raises StartFailure where that fails.
    """
    name = f"plan_{wanted.service}"
    try:
        server = await open_connection(scratch_url)
    except DATABASE_ERRORS as error:
        raise StartFailure(describe_refusal(error, parse_database_url(scratch_url))) from None
    try:
        await server.execute(f"SELECT pg_advisory_lock({TURNS})")
        await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # a killed plan's
        await server.execute(f"CREATE DATABASE {name}")
        try:
            url = parse_database_url(scratch_url).set(database=name)
            return await asyncio.to_thread(_play, wanted, url)
        finally:
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    except asyncpg.PostgresError as error:
        raise StartFailure(f"{wanted.service}: {error}") from None
    finally:
        await server.close()


def _play(wanted: Pending, url: URL) -> list[Statement]:
    if wanted.revision is not None:
        migrate(wanted.service, url, "upgrade", wanted.revision)
    seen: list[Statement] = []
    migrate(wanted.service, url, "upgrade", "head", watch=lambda each: _watched(each, seen))
    return seen


@contextmanager
def _watched(connection: Connection, seen: list[Statement]) -> Iterator[None]:
    """Note each statement of the connection, and what it locks of the tables there were before."""
    before = {row[0]: (row[1], row[2]) for row in connection.execute(text(FILES))}
    connection.commit()
    names = {name for name, _ in before.values()}
    held: dict[str, str] = {}
    files = {oid: file for oid, (_, file) in before.items()}
    looking = False

    def look(each: Connection, _cursor: Any, sql: str, *_: Any) -> None:
        nonlocal looking
        if looking or any(word in sql for word in BOOKKEEPING):
            return
        looking = True
        try:
            statement = Statement(sql.strip())
            now = _strongest(each.exec_driver_sql(HELD).fetchall(), names)
            statement.locks = {name: now[name] for name in now if held.get(name) != now[name]}
            held.update(now)
            for oid, name, file in each.exec_driver_sql(FILES).fetchall():
                if files.get(oid, file) != file:
                    statement.rewrites.append(name)
                    files[oid] = file
            only_reads = sql.lstrip().startswith("SELECT")
            if statement.locks or statement.rewrites or not only_reads:
                seen.append(statement)
        finally:
            looking = False

    event.listen(connection, "after_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(connection, "after_cursor_execute", look)


def _strongest(rows: Sequence[Any], names: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for mode in KEEPS_OUT:
        for name, held in rows:
            if held == mode and name in names:
                found.setdefault(name, mode)
    return found


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
